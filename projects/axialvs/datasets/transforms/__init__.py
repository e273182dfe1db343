"""Transforms of clips: loading, colour, stills, dropping what a crop left out, packing."""

from axialvs.datasets.transforms.clip_copy_paste import ClipCopyPaste
from axialvs.datasets.transforms.colour import ClipPhotoMetricDistortion
from axialvs.datasets.transforms.filtering import FilterEmptyInstances
from axialvs.datasets.transforms.image_to_clip import ImageToClip
from axialvs.datasets.transforms.loading import LoadClipAnnotations, LoadFrame
from axialvs.datasets.transforms.packing import PackClip

__all__ = [
    'ClipCopyPaste',
    'ClipPhotoMetricDistortion',
    'FilterEmptyInstances',
    'ImageToClip',
    'LoadClipAnnotations',
    'LoadFrame',
    'PackClip',
]
