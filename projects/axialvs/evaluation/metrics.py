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
    """Per-video result that a process stores until the metrics are computed.

    Not a NamedTuple, because mmengine converts those to plain tuples when moving them to the CPU.
    """

    video_id: int
    matches: VideoEval | None  # None with `format_only`
    entries: list[dict[str, Any]] | None  # in the official layout; None if no file is written


@METRICS.register_module()
class VideoInstanceMetric(VideoMetric):
    """Compute AP and AR of tracks by tube IoU, see `evaluation.youtube_vis`.

    Each clip is a data sample; only the last one of a video is used. It has the metainfo `video_id`
    and `pred_tracks` with `labels` (n,), `scores` (n,) and `segmentations`, n lists of L entries,
    COCO RLE or None. The other samples have no `pred_tracks`. Ground truth is read from the
    annotation file. A video is matched as soon as it is finished, in the process that segmented it,
    so masks are neither stored nor gathered, except for a submission.

    Args:
        ann_file: annotation file in the official layout.
        format_only: only write the results and compute no metrics, for files without annotations.
        outfile_prefix: write results to `{outfile_prefix}.json` and, as required by evaluation
            servers, to `{outfile_prefix}.zip`. If such files exist, a number is appended.
        classwise: also return the AP of each class, as `AP/{name}`, and log a table.
        **kwargs: arguments of `VideoMetric`.

    Raises:
        AxialVSError: if `format_only` is set without `outfile_prefix`.
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
        """Return the ids of the videos in the annotation file."""
        return (video.id for video in self.annotations.videos)

    @cached_property
    def annotations(self) -> VideoAnnotations:
        """The ground truth, read at first use.

        Raises:
            AnnotationError: if the file is invalid.
            AxialVSError: if it has no annotations, but metrics are requested.
        """
        annotations = read_annotations(self.ann_file)
        if annotations.instances is None and not self.format_only:
            raise AxialVSError(
                f"{self.ann_file}: field 'annotations': is missing or null, so there is no ground "
                'truth to evaluate with. Set format_only=True and outfile_prefix=... of '
                'VideoInstanceMetric to write a submission.'
            )
        return annotations

    @cached_property
    def _gts(self) -> dict[int, tuple[Video, list[Instance]]]:
        """All videos and their ground truth tracks, by video id."""
        instances = self.annotations.instances_by_video()
        return {video.id: (video, instances[video.id]) for video in self.annotations.videos}

    def finish_video(self, video_id: Any, tracks: dict[str, Any]) -> FinishedVideo:
        """Match a video.

        Raises:
            ResultsError: if a track does not match the annotation file.
        """
        video_id = int(video_id)
        entries = self._entries(video_id, tracks)
        results = check_results(entries, self.annotations, f'prediction for video {video_id}')
        matches = None
        if not self.format_only:
            matches = evaluate_video(*self._gts[video_id], results)
        return FinishedVideo(video_id, matches, entries if self.outfile_prefix else None)

    def _entries(self, video_id: int, tracks: dict[str, Any]) -> list[dict[str, Any]]:
        """Convert the tracks of a video to the official layout."""
        category_ids = self.dataset_meta['category_ids']
        entries = []
        for label, score, segmentations in zip(
            np.asarray(tracks['labels']).tolist(),
            np.asarray(tracks['scores'], dtype=float).tolist(),
            tracks['segmentations'],
            strict=True,
        ):
            # Classes missing from the annotation file have no ground truth and are not evaluated,
            # including those of a head with more classes than the data.
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
        """Write the requested files and compute the metrics, as unrounded fractions.

        Args:
            results: results of all processes, one per video.
        """
        results = sorted(results, key=lambda video: video.video_id)
        if self.outfile_prefix:
            self._write([entry for video in results for entry in video.entries])
        return {} if self.format_only else self.compute_ap(results)

    def compute_ap(self, results: list[FinishedVideo]) -> dict[str, float]:
        """Compute the metrics of matched videos.

        Args:
            results: results of all processes, one per video.
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
    """Convert an RLE to JSON types."""
    if mask is None:
        return None
    size = [int(side) for side in mask['size']]
    return {'size': size, 'counts': compress(mask, *size)['counts']}


@METRICS.register_module()
class ShortLongMetric(VideoInstanceMetric):
    """`VideoInstanceMetric` with separate metrics for short and long videos, see `short_long`.

    One submission contains both kinds, as required by the evaluation server.

    Args:
        ann_file: the dataset's annotation file with all videos; it needs no annotations.
        short_ann_file: ground truth of the short videos. Not read with `format_only`.
        long_ann_file: ground truth of the long videos. Not read with `format_only`.
        **kwargs: arguments of `VideoInstanceMetric`. `classwise` returns `AP_short/{name}` and
            `AP_long/{name}`.

    Raises:
        AxialVSError: if `format_only` is set without `outfile_prefix`.
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
        """All videos, with the ground truth of short and long ones unless `format_only`.

        Raises:
            FileNotFoundError: if a file is missing.
            AnnotationError: if a file is invalid, or its videos differ from those of `ann_file`.
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
                f'{self.ann_file}: video {video_id} of {length} frames is only in one of this file '
                f'and {joined.path}. Use ground truth files with the same videos.'
            )
        return joined

    def compute_ap(self, results: list[FinishedVideo]) -> dict[str, float]:
        """Compute `AP_all`, and the official metrics of short and of long videos.

        Args:
            results: results of all processes, one per video.
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
