"""The mmdet metric for YouTube-VIS 2022: AP of short videos, of long ones, and their mean."""

from functools import cached_property
from typing import Any

from mmdet.registry import METRICS
from mmengine.logging import print_log

from axialvs.datasets.annotations import AnnotationError, VideoAnnotations, read_annotations
from axialvs.evaluation.score_table import class_table
from axialvs.evaluation.short_long import (
    LONG,
    SHORT,
    check_same_categories,
    join_parts,
    short_long_figures,
)
from axialvs.evaluation.video_instance_metric import FinishedVideo, VideoInstanceMetric
from axialvs.evaluation.youtube_vis_ap import VideoAPResult, summarise


@METRICS.register_module()
class ShortLongMetric(VideoInstanceMetric):
    """As `VideoInstanceMetric`, with figures of short and long videos apart, see `short_long`.

    One submission holds both kinds, as the evaluation server takes it.

    Args:
        ann_file: The file of all videos, which the data set reads; it needs no annotations.
        short_ann_file: Ground truth of the short videos. Not read with `format_only`.
        long_ann_file: Ground truth of the long videos, likewise.
        **kwargs: As `VideoInstanceMetric` takes them. `classwise` gives `AP_short/{name}` and
            `AP_long/{name}`.

    Raises:
        ValueError: Arguments do not go together.
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
            FileNotFoundError: A file is missing.
            AnnotationError: A file is wrong, or the two do not have the videos of `ann_file`.
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

    def compute_figures(self, results: list[FinishedVideo]) -> dict[str, float]:
        """`AP_all`, and of each kind the official figures.

        Args:
            results: Of all processes, one a video.
        """
        scores = {name: self._scores_of(name, results) for name in self._parts}
        figures = short_long_figures(scores[SHORT].summary(), scores[LONG].summary())
        if self.classwise:
            for name, of_part in scores.items():
                by_class = of_part.per_class()
                print_log(f'\n{name} videos\n' + class_table(by_class), logger='current')
                figures |= {f'AP_{name}/{c}': row['AP'] for c, row in by_class.items()}
        return figures

    def _scores_of(self, name: str, results: list[FinishedVideo]) -> VideoAPResult:
        part = self._parts[name]
        ids = {video.id for video in part.videos}
        return summarise(
            [video.outcomes for video in results if video.video_id in ids], part.categories
        )
