"""Data sets, transforms and samplers, registered with mmdet's registries.

The generated data set is in `axialvs.datasets.moving_shapes`, which is imported where it is used.
"""

from axialvs.datasets.samplers import InfiniteClipSampler, VideoClipSampler
from axialvs.datasets.transforms import (
    ClipPhotoMetricDistortion,
    KeepVisibleInstances,
    LoadClipAnnotations,
    LoadFrame,
    PackClip,
)
from axialvs.datasets.youtube_vis import YouTubeVISDataset

__all__ = [
    'ClipPhotoMetricDistortion',
    'InfiniteClipSampler',
    'KeepVisibleInstances',
    'LoadClipAnnotations',
    'LoadFrame',
    'PackClip',
    'VideoClipSampler',
    'YouTubeVISDataset',
]
