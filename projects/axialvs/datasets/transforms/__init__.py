"""Transforms of clips: loading, colour, stills, dropping what a crop left out, packing."""

from axialvs.datasets.transforms.colour import ClipPhotoMetricDistortion
from axialvs.datasets.transforms.loading import LoadClipAnnotations, LoadFrame
from axialvs.datasets.transforms.move_still import MoveStill
from axialvs.datasets.transforms.packing import PackClip
from axialvs.datasets.transforms.visible_instances import KeepVisibleInstances

__all__ = [
    'ClipPhotoMetricDistortion',
    'KeepVisibleInstances',
    'LoadClipAnnotations',
    'LoadFrame',
    'MoveStill',
    'PackClip',
]
