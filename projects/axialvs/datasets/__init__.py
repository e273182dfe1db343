"""Data sets, transforms and samplers, registered with mmdet's registries.

The generated data set is in `axialvs.datasets.moving_shapes`, which is imported where it is used.
"""

from axialvs.datasets.coco_clips import CocoClipsDataset
from axialvs.datasets.concat_clips import ConcatClips
from axialvs.datasets.samplers import InfiniteClipSampler, RatioClipSampler, VideoClipSampler
from axialvs.datasets.transforms import (
    ClipPhotoMetricDistortion,
    KeepVisibleInstances,
    LoadClipAnnotations,
    LoadFrame,
    MoveStill,
    PackClip,
)
from axialvs.datasets.youtube_vis import YouTubeVISDataset

__all__ = [
    'ClipPhotoMetricDistortion',
    'CocoClipsDataset',
    'ConcatClips',
    'InfiniteClipSampler',
    'KeepVisibleInstances',
    'LoadClipAnnotations',
    'LoadFrame',
    'MoveStill',
    'PackClip',
    'RatioClipSampler',
    'VideoClipSampler',
    'YouTubeVISDataset',
]
