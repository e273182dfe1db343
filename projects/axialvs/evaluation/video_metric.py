"""Base class of metrics on whole videos for the training and test loops."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric

from axialvs.utils.errors import AxialVSError

_MAX_IDS_SHOWN = 10


class VideoMetric(BaseMetric):
    """Base class of metrics that evaluate each finished video once.

    Results must have a `video_id`; subclasses define `expected_ids` and `finish_video`.

    Args:
        ann_file: annotation file.
        partial: whether videos of the file may be missing; they are not evaluated. Otherwise,
            each video must be predicted exactly once.
        collect_device: 'gpu' gathers results by collective communication, on any device; 'cpu'
            uses files in `collect_dir`, or in the working directory, shared by all processes.
        prefix: prefix of the metric names.
        collect_dir: folder of temporary files, see `collect_device`.
    """

    def __init__(
        self,
        ann_file: str,
        partial: bool = False,
        collect_device: str = 'gpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.ann_file = ann_file
        self.partial = partial
        self._run_prefix: str | None = None

    def expected_ids(self) -> Iterable[Any]:
        """Return the ids of the videos in the annotation file."""
        raise NotImplementedError

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Process the videos that end in a batch, if any.

        Args:
            data_batch: not used.
            data_samples: data samples, one per clip.
        """
        for sample in data_samples:
            if 'pred_tracks' in sample:
                self.results.append(self.finish_video(sample['video_id'], sample['pred_tracks']))

    def finish_video(self, video_id: Any, tracks: dict[str, Any]) -> Any:
        """Compute the result of a video from its `pred_tracks`."""
        raise NotImplementedError

    def output_prefix(self, prefix: str, suffixes: Sequence[str]) -> str:
        """Return an unused prefix for output files, the same for all validations of a run."""
        if self._run_prefix is None:
            self._run_prefix = unused_prefix(prefix, suffixes)
        return self._run_prefix

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the videos of all processes and compute the metrics, the same on all.

        Args:
            size: number of samples in the dataset; not used, because they are clips.

        Raises:
            AxialVSError: if a video is missing or was predicted more than once.
        """
        gathered = all_gather_object([video.video_id for video in self.results])
        self._check_complete(list(chain.from_iterable(gathered)))
        return super().evaluate(sys.maxsize)

    def _check_complete(self, ids: Sequence[int]) -> None:
        """Raise the same error in all processes, to avoid a deadlock."""
        repeated = [video for video, number in Counter(ids).items() if number > 1]
        missing = set(self.expected_ids()) - set(ids)
        if repeated:
            raise AxialVSError(
                f'{self.ann_file}: {_named(repeated)} were predicted more than once. Use the '
                'sampler VideoClipSampler, which assigns each video to one process.'
            )
        if missing and not self.partial:
            raise AxialVSError(
                f'{self.ann_file}: {_named(missing)} have no predictions. Test with the whole '
                'dataset of this annotation file, or set partial=True of the evaluator to only '
                'evaluate the predicted videos.'
            )


def unused_prefix(prefix: str, suffixes: Iterable[str]) -> str:
    """Return the first of `{prefix}`, `{prefix}_2`, `{prefix}_3`, ... without existing files."""
    numbered = chain([prefix], (f'{prefix}_{number}' for number in count(2)))
    return next(p for p in numbered if not any(Path(p + suffix).exists() for suffix in suffixes))


def _named(ids: Iterable[Any]) -> str:
    """Format the number of videos and the first ids."""
    ids = sorted(ids)
    more = ', ...' if len(ids) > _MAX_IDS_SHOWN else ''
    return f'{len(ids)} videos ({", ".join(map(str, ids[:_MAX_IDS_SHOWN]))}{more})'
