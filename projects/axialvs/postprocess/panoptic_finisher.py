"""Video panoptic segments as tracks: things by query, stuff by class, one owner per pixel."""

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from axialvs.postprocess.finisher import LogitReader, StreamedClip
from axialvs.postprocess.panoptic import (
    PanopticSegment,
    PanopticThresholds,
    merge_panoptic,
)
from axialvs.structures import ImageShapes, Track
from axialvs.utils.rle import encode_masks


class PanopticFinisher:
    """Finish a video into things and stuff that do not overlap.

    Args:
        thing_labels: labels of thing classes; all others are stuff.
        thresholds: of the merge, see `merge_panoptic`.
    """

    def __init__(
        self, thing_labels: Collection[int], thresholds: PanopticThresholds | None = None
    ) -> None:
        self.thing_labels = frozenset(thing_labels)
        self.thresholds = PanopticThresholds() if thresholds is None else thresholds

    def finish(
        self, class_logits: Tensor, read_logits: LogitReader, shapes: ImageShapes
    ) -> list[Track]:
        """Merge a whole video.

        Args:
            class_logits: of the video, (Q, N + 1).
            read_logits: yields the mask logits of queries; called twice.
            shapes: of the frames.

        Returns:
            Segments that own a pixel, best first, with the ids of `merge_panoptic`.
        """
        merged = merge_panoptic(
            class_logits, read_logits, shapes, self.thing_labels, self.thresholds
        )
        rles: list[list[dict | None]] = [[] for _ in merged.segments]
        for ids in merged.frames():
            for of_segment, segment in zip(rles, merged.segments, strict=True):
                of_segment.extend(encode_masks((ids == segment.id)[None]))
        return [
            Track(segment.id, segment.label, segment.score, of_segment, segment.is_thing)
            for segment, of_segment in zip(merged.segments, rles, strict=True)
            if any(of_segment)
        ]

    def stream(self, score_threshold: float) -> 'PanopticStream':
        """Start a stream that shows classes of at least this probability."""
        thresholds = self.thresholds._replace(
            thing=max(self.thresholds.thing, score_threshold),
            stuff=max(self.thresholds.stuff, score_threshold),
        )
        return PanopticStream(self.thing_labels, thresholds)


class PanopticStream:
    """Merge clip by clip: a query keeps its id while it is a thing, a stuff class keeps its own.

    Args:
        thing_labels: labels of thing classes.
        thresholds: of the merge.
    """

    def __init__(self, thing_labels: Collection[int], thresholds: PanopticThresholds) -> None:
        self._thing_labels = thing_labels
        self._thresholds = thresholds
        self._num_frames = 0
        # By (is_thing, query of a thing or label of stuff), in order of appearance.
        self._tracks: dict[tuple[bool, int], Track] = {}
        self._rles: dict[int, dict[int, dict]] = {}

    def add(self, mask_logits: Tensor, class_logits: Tensor, shapes: ImageShapes) -> StreamedClip:
        """Merge the next clip, see `StreamFinisher.add`."""

        def read(queries: Tensor) -> Iterator[Tensor]:
            yield mask_logits[queries.to(mask_logits.device)]

        merged = merge_panoptic(class_logits, read, shapes, self._thing_labels, self._thresholds)
        id_maps = np.stack(list(merged.frames()))
        shown, masks = [], []
        for segment in merged.segments:
            mask = id_maps == segment.id
            if mask.any():
                shown.append(self._update(segment, mask))
                masks.append(mask)
        self._num_frames += mask_logits.shape[1]
        return StreamedClip(
            np.array([track.id for track in shown], dtype=int),
            np.array([track.label for track in shown], dtype=int),
            np.array([track.score for track in shown], dtype=float),
            np.stack(masks) if masks else np.zeros((0, *id_maps.shape), dtype=bool),
        )

    def _update(self, segment: PanopticSegment, mask: NDArray[np.bool_]) -> Track:
        """Give a segment of the clip (T, H, W) its track, with its current class and score."""
        key = (segment.is_thing, segment.query if segment.is_thing else segment.label)
        track = self._tracks.setdefault(
            key, Track(len(self._tracks) + 1, segment.label, segment.score, [], segment.is_thing)
        )
        track.label, track.score = segment.label, segment.score
        rles = self._rles.setdefault(track.id, {})
        for t, rle in enumerate(encode_masks(mask)):
            if rle is not None:
                rles[self._num_frames + t] = rle
        return track

    def tracks(self) -> list[Track]:
        """All segments so far, with their last class and score."""
        return [
            Track(track.id, track.label, track.score, self._of_video(track.id), track.is_thing)
            for track in self._tracks.values()
        ]

    def _of_video(self, track_id: int) -> list[dict | None]:
        return [self._rles[track_id].get(frame) for frame in range(self._num_frames)]
