"""The segmenter and its parts, registered with mmdet's registries."""

from axialvs.models.clip_head import ClipMask2FormerHead
from axialvs.models.cross_clip_head import CrossClipHead
from axialvs.models.matching import FullPrecisionHungarianAssigner
from axialvs.models.offline_segmenter import OfflineTubeLink
from axialvs.models.pixel_decoder import ClipPixelDecoder
from axialvs.models.segmenter import TubeLink

__all__ = [
    'ClipMask2FormerHead',
    'ClipPixelDecoder',
    'CrossClipHead',
    'FullPrecisionHungarianAssigner',
    'OfflineTubeLink',
    'TubeLink',
]
