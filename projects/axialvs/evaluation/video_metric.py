"""Base of the metrics of the training and test loops that take finished videos."""

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
    """Base of metrics that take finished videos, each of them once.

    Results have a `video_id`, and subclasses an `ann_file`, `expected_ids` and `finish_video`.

    Args:
        partial: whether videos of the file may be missing, which are then left out. Otherwise
            each has to come exactly once.
        collect_device: 'gpu' sends results directly, on any device; 'cpu' uses files in
            `collect_dir`, or in the working directory, which all processes have to share.
        prefix: of the metrics' names.
        collect_dir: see `collect_device`.
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
        """Ids of the videos of the annotation file."""
        raise NotImplementedError

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Take the videos that end in a batch; most batches have none.

        Args:
            data_batch: not used.
            data_samples: one per clip.
        """
        for sample in data_samples:
            if 'pred_tracks' in sample:
                self.results.append(self.finish_video(sample['video_id'], sample['pred_tracks']))

    def finish_video(self, video_id: Any, tracks: dict[str, Any]) -> Any:
        """Return what is kept of a video, given its `pred_tracks`."""
        raise NotImplementedError

    def output_prefix(self, prefix: str, suffixes: Sequence[str]) -> str:
        """The prefix of this run's files: an unused one, but the same for each validation."""
        if self._run_prefix is None:
            self._run_prefix = unused_prefix(prefix, suffixes)
        return self._run_prefix

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the videos of all processes and compute the metrics, the same on all.

        Args:
            size: samples of the dataset; not used, as they are clips.

        Raises:
            AxialVSError: if a video is missing, or came more than once.
        """
        gathered = all_gather_object([video.video_id for video in self.results])
        self._check_complete(list(chain.from_iterable(gathered)))
        return super().evaluate(sys.maxsize)

    def _check_complete(self, ids: Sequence[int]) -> None:
        """Raise the same error in all processes, so that none waits for another."""
        repeated = [video for video, number in Counter(ids).items() if number > 1]
        missing = set(self.expected_ids()) - set(ids)
        if repeated:
            raise AxialVSError(
                f'{self.ann_file}: {_named(repeated)} came more than once. Use the sampler '
                'VideoClipSampler, which gives a video to one process.'
            )
        if missing and not self.partial:
            raise AxialVSError(
                f'{self.ann_file}: {_named(missing)} did not come. Test with the whole dataset of '
                'this annotation file, or set partial=True of the evaluator to score the videos '
                'that came.'
            )


def unused_prefix(prefix: str, suffixes: Iterable[str]) -> str:
    """The prefix, or the first of `{prefix}_2`, `{prefix}_3`, ... that no file begins with."""
    numbered = chain([prefix], (f'{prefix}_{number}' for number in count(2)))
    return next(p for p in numbered if not any(Path(p + suffix).exists() for suffix in suffixes))


def _named(ids: Iterable[Any]) -> str:
    """How many videos, and the first of them."""
    ids = sorted(ids)
    more = ', ...' if len(ids) > _MAX_IDS_SHOWN else ''
    return f'{len(ids)} videos ({", ".join(map(str, ids[:_MAX_IDS_SHOWN]))}{more})'
