"""YouTube-VIS average precision as an mmengine metric that is fed once a video."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from axialvs.datasets.annotations import read_annotations
from axialvs.evaluation.results_file import check_results
from axialvs.evaluation.submission import write_results, write_submission
from axialvs.evaluation.youtube_vis_ap import VideoAPResult, evaluate_tracks

# Ids listed in an error before it says how many more there are.
_IDS_SHOWN = 10


@METRICS.register_module()
class VideoInstanceMetric(BaseMetric):
    """Official YouTube-VIS figures of the tracks of every video of an annotation file.

    Each process hands over the videos that it finished; the process that counts checks that every
    video came exactly once.

    Args:
        ann_file: annotation file of the test set.
        outfile_prefix: where the results go, as `<prefix>.json` and, in the layout of the
            evaluation servers, `<prefix>.zip`; None keeps them in memory.
        format_only: only write the results, for test sets without public labels.
        classwise: also log the figures of each class.
        partial: whether videos may be missing.
        collect_device, collect_dir: as in mmengine's `BaseMetric`.

    Raises:
        ValueError: if `format_only` is asked for without a place to write to.
    """

    default_prefix = 'youtube_vis'

    def __init__(
        self,
        ann_file: str,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        classwise: bool = False,
        partial: bool = False,
        collect_device: str = 'cpu',
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, collect_dir=collect_dir)
        if format_only and outfile_prefix is None:
            raise ValueError('format_only=True needs outfile_prefix, the place to write results to')
        self.ann_file = ann_file
        self.outfile_prefix = outfile_prefix
        self.format_only = format_only
        self.classwise = classwise
        self.partial = partial

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Takes the videos that ended in a batch, none in most.

        Args:
            data_batch: not used.
            data_samples: one dict a clip; where it ends a video, with `video_id` and `pred_tracks`
                of `labels`, `scores` and `segmentations`.
        """
        category_ids = self.dataset_meta['category_ids']
        for sample in data_samples:
            if 'pred_tracks' not in sample:
                continue
            tracks = sample['pred_tracks']
            entries = [
                {
                    'video_id': int(sample['video_id']),
                    'category_id': int(category_ids[label]),
                    'score': float(score),
                    'segmentations': segmentations,
                }
                for label, score, segmentations in zip(
                    tracks['labels'].tolist(),
                    tracks['scores'].tolist(),
                    tracks['segmentations'],
                    strict=True,
                )
            ]
            self.results.append((int(sample['video_id']), entries))

    def compute_metrics(self, results: list[tuple[int, list[dict]]]) -> dict[str, float]:
        """Scores all videos.

        Args:
            results: (video id, entries of the official results layout) of each video.

        Returns:
            The figures of `VideoAPResult.summary`; nothing with `format_only`.

        Raises:
            RuntimeError: if a video came twice, or is missing.
        """
        annotations = read_annotations(self.ann_file)
        self._check_videos([video for video, _ in results], [x.id for x in annotations.videos])
        entries = [
            entry for _, of_video in sorted(results, key=lambda x: x[0]) for entry in of_video
        ]
        if self.outfile_prefix is not None:
            self._write(entries)
        if self.format_only:
            return {}
        scored = evaluate_tracks(annotations, check_results(entries, annotations, 'the model'))
        if self.classwise:
            _log_classes(scored)
        return scored.summary()

    def _check_videos(self, came: list[int], expected: list[int]) -> None:
        twice = sorted(video for video, count in Counter(came).items() if count > 1)
        missing = [] if self.partial else sorted(set(expected) - set(came))
        for problem, ids in (('came more than once', twice), ('did not come', missing)):
            if ids:
                raise RuntimeError(
                    f'{self.ann_file}: {len(ids)} videos {problem}: {ids[:_IDS_SHOWN]}'
                    f'{" ..." if len(ids) > _IDS_SHOWN else ""}; a test needs the sampler '
                    'VideoClipSampler and the data set of this annotation file'
                )

    def _write(self, entries: list[dict]) -> None:
        prefix = Path(self.outfile_prefix)
        write_results(prefix.with_name(f'{prefix.name}.json'), entries)
        write_submission(prefix.with_name(f'{prefix.name}.zip'), entries)
        MMLogger.get_current_instance().info(f'wrote {prefix}.json and {prefix}.zip')


def _log_classes(scored: VideoAPResult) -> None:
    logger = MMLogger.get_current_instance()
    for name, figures in scored.per_class().items():
        shown = '  '.join(f'{key} {value:.4g}' for key, value in figures.items())
        logger.info(f'{name}: {shown}')
