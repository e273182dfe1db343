"""Several data sets of clips behind each other."""

from typing import Any

from mmdet.registry import DATASETS
from mmengine.dataset import ConcatDataset

from axialvs.datasets.sample_index import SampleIndex


@DATASETS.register_module()
class ConcatClips(ConcatDataset):
    """mmengine's concatenation, for the indices that the training samplers give.

    The data sets must have equal classes; ids of categories may differ, so a config says
    `ignore_keys=['category_ids']`. `RatioClipSampler` says how often each is drawn from.
    """

    def __getitem__(self, idx: int | SampleIndex) -> Any:
        """The sample after the pipeline of its data set; see `YouTubeVISDataset`."""
        if not isinstance(idx, SampleIndex):
            return super().__getitem__(idx)
        number, index = self._get_ori_dataset_idx(idx.index)
        return self.datasets[number][idx._replace(index=index)]
