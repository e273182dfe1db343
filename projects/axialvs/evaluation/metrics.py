"""Metrics of the training and test loops: YouTube-VIS AP."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import (
    Instance,
    Video,
    VideoAnnotations,
    read_annotations,
)
from axialvs.evaluation.results import check_results, write_results, write_submission
from axialvs.evaluation.score_table import class_table
from axialvs.evaluation.short_long import (
    LONG,
    SHORT,
    check_same_categories,
    join_parts,
    short_long_metrics,
)
from axialvs.evaluation.track_matching import VideoEval, evaluate_video
from axialvs.evaluation.video_metric import VideoMetric
from axialvs.evaluation.youtube_vis import VideoAPResult, accumulate
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import compress


@dataclass(frozen=True, slots=True)
class FinishedVideo:
    """What a process keeps of a finished video until the metrics are computed.

    Not a tuple, which mmengine would rebuild as a plain one when it moves results to the CPU.
    """

    video_id: int
    matches: VideoEval | None  # None with `format_only`
    entries: list[dict[str, Any]] | None  # of the official layout; None if no file is written


@METRICS.register_module()
class VideoInstanceMetric(VideoMetric):
    """AP and AR of tracks by tube IoU, see `evaluation.youtube_vis`.

    Takes one data sample per clip and uses those that end a video: metainfo `video_id`, and
    `pred_tracks` with `labels` (n,), `scores` (n,) and `segmentations`, n lists of L entries, COCO
    RLE or None. The others have no `pred_tracks`. Ground truth comes from the annotation file.
    A video is matched at once, in the process that segmented it, so masks are neither kept nor
    gathered, except for a submission.

    Args:
        ann_file: annotation file in the official layout.
        format_only: write the results and compute nothing, for files without annotations.
        outfile_prefix: write results to `{outfile_prefix}.json` and, as evaluation servers take
            them, to `{outfile_prefix}.zip`. Files of earlier runs are kept: a number is appended.
        classwise: also return the AP of each class, as `AP/{name}`, and log a table.
        **kwargs: of `VideoMetric`.

    Raises:
        AxialVSError: if arguments do not go together.
    """

    default_prefix = 'youtube_vis'

    def __init__(
        self,
        ann_file: str,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        classwise: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(ann_file, **kwargs)
        if format_only and not outfile_prefix:
            raise AxialVSError('VideoInstanceMetric: format_only=True needs outfile_prefix.')
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.classwise = classwise

    def expected_ids(self) -> Iterable[int]:
        """Ids of the videos of the annotation file."""
        return (video.id for video in self.annotations.videos)

    @cached_property
    def annotations(self) -> VideoAnnotations:
        """The ground truth, read at first use.

        Raises:
            AnnotationError: if something in the file is wrong.
            AxialVSError: if it has no annotations, but metrics are asked for.
        """
        annotations = read_annotations(self.ann_file)
        if annotations.instances is None and not self.format_only:
            raise AxialVSError(
                f"{self.ann_file}: field 'annotations': is missing or null, so there is nothing to "
                'compare with. Set format_only=True and outfile_prefix=... of VideoInstanceMetric '
                'to write a submission.'
            )
        return annotations

    @cached_property
    def _gts(self) -> dict[int, tuple[Video, list[Instance]]]:
        """Every video and its ground truth tracks, by its id."""
        instances = self.annotations.instances_by_video()
        return {video.id: (video, instances[video.id]) for video in self.annotations.videos}

    def finish_video(self, video_id: Any, tracks: dict[str, Any]) -> FinishedVideo:
        """Match a video.

        Raises:
            ResultsError: if a track does not fit the annotation file.
        """
        video_id = int(video_id)
        entries = self._entries(video_id, tracks)
        results = check_results(entries, self.annotations, f'prediction for video {video_id}')
        matches = None
        if not self.format_only:
            matches = evaluate_video(*self._gts[video_id], results)
        return FinishedVideo(video_id, matches, entries if self.outfile_prefix else None)

    def _entries(self, video_id: int, tracks: dict[str, Any]) -> list[dict[str, Any]]:
        """The tracks of a video in the official layout."""
        category_ids = self.dataset_meta['category_ids']
        entries = []
        for label, score, segmentations in zip(
            np.asarray(tracks['labels']).tolist(),
            np.asarray(tracks['scores'], dtype=float).tolist(),
            tracks['segmentations'],
            strict=True,
        ):
            # Classes that the annotation file lacks have no ground truth and count nowhere.
            # So have those of a head with more classes than the data.
            if label < len(category_ids) and category_ids[label] is not None:
                entries.append(
                    {
                        'video_id': video_id,
                        'score': score,
                        'category_id': category_ids[label],
                        'segmentations': [_plain(mask) for mask in segmentations],
                    }
                )
        return entries

    def compute_metrics(self, results: list[FinishedVideo]) -> dict[str, float]:
        """Write the files that were asked for and compute the metrics, unrounded fractions.

        Args:
            results: of all processes, one per video.
        """
        results = sorted(results, key=lambda video: video.video_id)
        if self.outfile_prefix:
            self._write([entry for video in results for entry in video.entries])
        return {} if self.format_only else self.compute_ap(results)

    def compute_ap(self, results: list[FinishedVideo]) -> dict[str, float]:
        """The metrics of matched videos.

        Args:
            results: of all processes, one per video.
        """
        scores = accumulate([video.matches for video in results], self.annotations.categories)
        return {**scores.summary(), **(self._classwise(scores) if self.classwise else {})}

    def _classwise(self, scores: VideoAPResult) -> dict[str, float]:
        by_class = scores.per_class()
        print_log('\n' + class_table(by_class), logger='current')
        return {f'AP/{name}': metrics['AP'] for name, metrics in by_class.items()}

    def _write(self, entries: Sequence[dict[str, Any]]) -> None:
        prefix = self.output_prefix(self.outfile_prefix, ('.json', '.zip'))
        for write, suffix in ((write_results, '.json'), (write_submission, '.zip')):
            write(prefix + suffix, entries)
            print_log(f'wrote {len(entries)} tracks to {prefix}{suffix}', logger='current')


def _plain(mask: dict | None) -> dict | None:
    """The RLE with the types of JSON."""
    if mask is None:
        return None
    size = [int(side) for side in mask['size']]
    return {'size': size, 'counts': compress(mask, *size)['counts']}


@METRICS.register_module()
class ShortLongMetric(VideoInstanceMetric):
    """`VideoInstanceMetric` with the metrics of short and long videos apart, see `short_long`.

    One submission holds both kinds, as the evaluation server takes it.

    Args:
        ann_file: the file of all videos, which the dataset reads; it needs no annotations.
        short_ann_file: ground truth of the short videos. Not read with `format_only`.
        long_ann_file: ground truth of the long videos. Not read with `format_only`.
        **kwargs: arguments of `VideoInstanceMetric`. `classwise` returns `AP_short/{name}` and
            `AP_long/{name}`.

    Raises:
        AxialVSError: if arguments do not go together.
    """

    def __init__(
        self, ann_file: str, short_ann_file: str, long_ann_file: str, **kwargs: Any
    ) -> None:
        super().__init__(ann_file, **kwargs)
        self.part_files = {SHORT: short_ann_file, LONG: long_ann_file}

    @cached_property
    def _parts(self) -> dict[str, VideoAnnotations]:
        return {name: read_annotations(path) for name, path in self.part_files.items()}

    @cached_property
    def annotations(self) -> VideoAnnotations:
        """The videos, with the ground truth of both kinds unless `format_only`.

        Raises:
            FileNotFoundError: if a file is missing.
            AnnotationError: if a file is wrong, or the two do not have the videos of `ann_file`.
        """
        whole = read_annotations(self.ann_file)
        if self.format_only:
            return whole
        joined = join_parts(self._parts[SHORT], self._parts[LONG])
        check_same_categories(joined, whole)
        tested, scored = ({(v.id, v.length) for v in some.videos} for some in (whole, joined))
        if tested != scored:
            video_id, length = min(tested ^ scored)
            raise AnnotationError(
                f'{self.ann_file}: video {video_id} of {length} frames is not both here and in '
                f'{joined.path}. Give the ground truths of the videos that are tested.'
            )
        return joined

    def compute_ap(self, results: list[FinishedVideo]) -> dict[str, float]:
        """`AP_all`, and the official metrics of each kind.

        Args:
            results: of all processes, one per video.
        """
        scores = {name: self._scores_of(name, results) for name in self._parts}
        metrics = short_long_metrics(scores[SHORT].summary(), scores[LONG].summary())
        if self.classwise:
            for name, of_part in scores.items():
                by_class = of_part.per_class()
                print_log(f'\n{name} videos\n' + class_table(by_class), logger='current')
                metrics |= {f'AP_{name}/{c}': row['AP'] for c, row in by_class.items()}
        return metrics

    def _scores_of(self, name: str, results: list[FinishedVideo]) -> VideoAPResult:
        part = self._parts[name]
        ids = {video.id for video in part.videos}
        matches = [video.matches for video in results if video.video_id in ids]
        return accumulate(matches, part.categories)
