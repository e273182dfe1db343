"""AP of short and of long videos, as YouTube-VIS 2022 reports it.

Its validation videos are those of 2021 and 71 long ones, in one folder and one file. The evaluation
server takes one file of results, scores it against two ground truths with the same ids, and ranks
by the mean of the two APs: long videos, of which there are few, count as much as short ones.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import (
    Instance,
    Video,
    VideoAnnotations,
    read_annotations,
)
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.results import check_results, write_results, write_submission
from axialvs.evaluation.score_table import class_table
from axialvs.evaluation.youtube_vis import (
    NOTHING_COUNTS,
    VideoAPResult,
    VideoOutcomes,
    summarise,
    video_outcomes,
)
from axialvs.utils.errors import AxialVSError

SHORT, LONG = 'short', 'long'


def join_parts(short: VideoAnnotations, long: VideoAnnotations) -> VideoAnnotations:
    """The ground truths of both kinds as one.

    Args:
        short: Of the short videos.
        long: Of the long ones.

    Raises:
        AnnotationError: One has no annotations, they share a video, or their categories differ.
    """
    for part in (short, long):
        if part.instances is None:
            raise AnnotationError(
                f"{part.path}: field 'annotations': is missing or null, so there is nothing to "
                'compare with.'
            )
    shared = {video.id for video in short.videos} & {video.id for video in long.videos}
    if shared:
        raise AnnotationError(
            f'{long.path}: video {min(shared)} is in {short.path} too; a video is short or long.'
        )
    check_same_categories(long, short)
    return VideoAnnotations(
        f'{short.path} and {long.path}',
        short.categories,
        short.videos + long.videos,
        short.instances + long.instances,
    )


def check_same_categories(one: VideoAnnotations, other: VideoAnnotations) -> None:
    """Raises an `AnnotationError` where two files number or name their categories differently."""
    mine, theirs = ({(c.id, c.name) for c in file.categories} for file in (one, other))
    if mine != theirs:
        identifier, name = min(mine ^ theirs)
        raise AnnotationError(
            f"{one.path}: field 'categories': {identifier} ({name}) is not both here and in "
            f'{other.path}; the files have to be of one data set.'
        )


def short_long_figures(short: Mapping[str, float], long: Mapping[str, float]) -> dict[str, float]:
    """AP_all, the mean of both APs, and all figures of each kind, as `AP_short` and `AR10_long`.

    Args:
        short: Figures of the short videos.
        long: Figures of the long ones.
    """
    both = short['AP'], long['AP']
    return {
        'AP_all': NOTHING_COUNTS if NOTHING_COUNTS in both else sum(both) / 2,
        **{f'{name}_{SHORT}': value for name, value in short.items()},
        **{f'{name}_{LONG}': value for name, value in long.items()},
    }


_IDS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class FinishedVideo:
    """A finished video on its way from the process that segmented it to the one that counts."""

    video_id: int
    outcomes: VideoOutcomes | None  # None with `format_only`
    entries: list[dict[str, Any]] | None  # of the official layout, None where no file is written


@METRICS.register_module()
class VideoInstanceMetric(BaseMetric):
    """AP and AR of tracks by tube IoU, see `youtube_vis_ap`.

    It is fed one data sample a clip and reads those that end a video: metainfo `video_id`, and
    `pred_tracks` with `labels` (n,), `scores` (n,) and `segmentations`, n lists of L entries, COCO
    RLE or None. The others have no `pred_tracks`. Ground truth comes from the annotation file.
    A video is matched as it comes, in the process that it comes to, so masks are neither kept nor
    sent around, but for a submission.

    Args:
        ann_file: Annotation file in the official layout.
        format_only: Write the results and compute nothing, for files without annotations.
        outfile_prefix: Write results to `{outfile_prefix}.json` and, as the evaluation servers
            take them, to `{outfile_prefix}.zip`.
        classwise: Also give AP of each class, as `AP/{name}`, and log a table.
        partial: Whether videos of the file may be missing, which are then left out. Otherwise
            each has to come exactly once.
        collect_device: 'gpu' sends results directly, on any device; 'cpu' uses files in
            `collect_dir`, or in the working directory, which all processes have to share.
        prefix: Of the figures' names.
        collect_dir: See `collect_device`.

    Raises:
        ValueError: Arguments do not go together.
    """

    default_prefix = 'youtube_vis'

    def __init__(
        self,
        ann_file: str,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        classwise: bool = False,
        partial: bool = False,
        collect_device: str = 'gpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if format_only and not outfile_prefix:
            raise AxialVSError('VideoInstanceMetric: format_only=True needs outfile_prefix.')
        self.ann_file = ann_file
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.classwise = classwise
        self.partial = partial

    @cached_property
    def annotations(self) -> VideoAnnotations:
        """The ground truth, read at first use.

        Raises:
            AnnotationError: Something in the file is wrong.
            ValueError: It has no annotations, and figures are asked for.
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
    def _truths(self) -> dict[int, tuple[Video, list[Instance]]]:
        """Every video and its ground truth tracks, by its id."""
        instances = self.annotations.instances_by_video()
        return {video.id: (video, instances[video.id]) for video in self.annotations.videos}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Takes the videos that end in a batch; most batches have none.

        Args:
            data_batch: Not used.
            data_samples: One a clip.

        Raises:
            ResultsError: A track does not fit the annotation file.
        """
        for sample in data_samples:
            if 'pred_tracks' in sample:
                self.results.append(self._take(int(sample['video_id']), sample['pred_tracks']))

    def _take(self, video_id: int, tracks: dict[str, Any]) -> FinishedVideo:
        entries = self._entries(video_id, tracks)
        source = f'prediction for video {video_id}'
        results = check_results(entries, self.annotations, source)
        outcomes = None
        if not self.format_only:
            outcomes = video_outcomes(*self._truths[video_id], results)
        return FinishedVideo(video_id, outcomes, entries if self.outfile_prefix else None)

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
            # A class that the annotation file lacks has no ground truth, and so counts nowhere.
            if category_ids[label] is not None:
                entries.append(
                    {
                        'video_id': video_id,
                        'score': score,
                        'category_id': category_ids[label],
                        'segmentations': _as_text(segmentations),
                    }
                )
        return entries

    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers the videos of all processes and computes the figures, the same on all.

        Args:
            size: Samples of the data set. They are clips, so this says nothing about videos.

        Raises:
            ValueError: A video is missing, or came more than once.
        """
        gathered = all_gather_object([video.video_id for video in self.results])
        self._check_complete(list(chain.from_iterable(gathered)))
        return super().evaluate(sys.maxsize)

    def _check_complete(self, ids: Sequence[int]) -> None:
        """Raises the same error in all processes, so that none waits for another."""
        twice = [video for video, number in Counter(ids).items() if number > 1]
        missing = {video.id for video in self.annotations.videos} - set(ids)
        if twice:
            raise AxialVSError(
                f'{self.ann_file}: {_named(twice)} came more than once. Use the sampler '
                'VideoClipSampler, which gives a video to one process.'
            )
        if missing and not self.partial:
            raise AxialVSError(
                f'{self.ann_file}: {_named(missing)} did not come. Test with the whole data set of '
                'this annotation file, or set partial=True of VideoInstanceMetric to score the '
                'videos that came.'
            )

    def compute_metrics(self, results: list[FinishedVideo]) -> dict[str, float]:
        """The figures, unrounded fractions, and the files that were asked for.

        Args:
            results: Of all processes, one a video.
        """
        results = sorted(results, key=lambda video: video.video_id)
        if self.outfile_prefix:
            self._write([entry for video in results for entry in video.entries])
        if self.format_only:
            return {}
        return self.compute_figures(results)

    def compute_figures(self, results: list[FinishedVideo]) -> dict[str, float]:
        """The figures of matched videos, unrounded fractions.

        Args:
            results: Of all processes, one a video.
        """
        scores = summarise([video.outcomes for video in results], self.annotations.categories)
        return {**scores.summary(), **(self._classwise(scores) if self.classwise else {})}

    def _classwise(self, scores: VideoAPResult) -> dict[str, float]:
        by_class = scores.per_class()
        print_log('\n' + class_table(by_class), logger='current')
        return {f'AP/{name}': figures['AP'] for name, figures in by_class.items()}

    def _write(self, entries: Sequence[dict[str, Any]]) -> None:
        for write, ending in ((write_results, 'json'), (write_submission, 'zip')):
            path = f'{self.outfile_prefix}.{ending}'
            write(path, entries)
            print_log(f'wrote {len(entries)} tracks to {path}', logger='current')


def _named(ids: Iterable[int]) -> str:
    """How many videos, and which; a few of them where there are many."""
    ids = sorted(ids)
    more = ', ...' if len(ids) > _IDS_SHOWN else ''
    return f'{len(ids)} videos ({", ".join(map(str, ids[:_IDS_SHOWN]))}{more})'


def _as_text(segmentations: Sequence[dict | None]) -> list[dict | None]:
    """The masks with JSON's types, whatever made them."""
    height, width = next(([*map(int, mask['size'])] for mask in segmentations if mask), (0, 0))
    counts = compressed_tube(segmentations, height, width)
    return [
        mask and {'size': [int(side) for side in mask['size']], 'counts': run}
        for mask, run in zip(segmentations, counts, strict=True)
    ]


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
