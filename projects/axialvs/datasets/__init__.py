"""Data sets, transforms and samplers, registered with mmdet's registries.

The generated data set is in `axialvs.datasets.moving_shapes`, which is imported where it is used.
"""

from axialvs.datasets.coco import CocoClipsDataset
from axialvs.datasets.concat_clips import ConcatClips
from axialvs.datasets.samplers import InfiniteClipSampler, RatioClipSampler, VideoClipSampler
from axialvs.datasets.transforms import (
    ClipPhotoMetricDistortion,
    FilterEmptyInstances,
    ImageToClip,
    LoadClipAnnotations,
    LoadFrame,
    PackClip,
)
from axialvs.datasets.youtube_vis import YouTubeVISDataset

__all__ = [
    'ClipPhotoMetricDistortion',
    'CocoClipsDataset',
    'ConcatClips',
    'FilterEmptyInstances',
    'ImageToClip',
    'InfiniteClipSampler',
    'LoadClipAnnotations',
    'LoadFrame',
    'PackClip',
    'RatioClipSampler',
    'VideoClipSampler',
    'YouTubeVISDataset',
]
