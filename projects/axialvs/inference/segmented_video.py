"""Results of a finished run for the outputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axialvs import __version__
from axialvs.checkpoints.hub import find_known
from axialvs.inference.pipeline import VideoResult
from axialvs.structures import Size, Track

# mmdet.models cannot be imported before axialvs.register.
if TYPE_CHECKING:
    from axialvs.models.clip_segmenter import ClipSegmenter


@dataclass(frozen=True)
class SegmentedVideo:
    """Results of a finished run for the outputs."""

    name: str
    video: dict[str, Any]  # description in the JSON
    model: dict[str, Any]  # description in the JSON
    tracks: list[Track]  # all
    shown: list[Track]  # those whose score reaches the threshold
    times: dict[int, float]  # timestamps of segmented frames in seconds, by position
    frame_names: dict[int, str]  # names of these frames for files
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    thing_labels: frozenset[int] | None  # None if all classes are things

    @property
    def size(self) -> Size:
        """(height, width) of a frame."""
        return self.video['height'], self.video['width']

    @property
    def categories(self) -> list[dict[str, Any]]:
        """Categories as in annotation files."""
        pairs = zip(self.category_ids, self.class_names, strict=True)
        return [{'id': category_id, 'name': name} for category_id, name in pairs]


def describe_run(
    result: VideoResult,
    model: 'ClipSegmenter',
    source: str,
    mode: str,
    config: str | None,
    checkpoint: str | None,
    score_thr: float | None = None,
) -> SegmentedVideo:
    """Collect the data for outputs from a run that has ended or was stopped.

    Args:
        result: result of the run.
        model: model that segmented the video.
        source: source of the video as given by the user.
        mode: 'near-online' or 'offline'.
        config: config of the model; None for that of a known checkpoint.
        checkpoint: file or known name; None if it is not known.
        score_thr: minimum score of tracks that are shown; None for the model's.
    """
    tracks, times = result.tracks(), result.timestamps
    threshold = model.test_cfg['score_thr'] if score_thr is None else 0
    known = None if checkpoint is None else find_known(checkpoint)
    segmented = {i: time for i, time in enumerate(times) if time is not None}
    return SegmentedVideo(
        name=Path(result.reader.source).name,
        video=dict(
            source=source,
            width=result.reader.width,
            height=result.reader.height,
            length=len(times),
            frame_rate=result.reader.frame_rate,
            timestamps=[None if time is None else round(time, 6) for time in times],
            mode=mode,
            protocol=result.protocol,
        ),
        model=dict(
            axialvs=__version__,
            config=config or (known and known.config),
            checkpoint=checkpoint,
        ),
        tracks=tracks,
        shown=[x for x in tracks if x.score >= threshold or result.protocol != 'scored'],
        times=segmented,
        frame_names={i: result.reader.frame_name(i) for i in segmented},
        class_names=model.class_names,
        category_ids=model.category_ids,
        thing_labels=model.finisher.thing_labels,
    )
