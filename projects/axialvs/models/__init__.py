"""The segmenter and its parts, registered with mmdet's registries."""

from axialvs.models.backbones.convnext import PaddedConvNeXt
from axialvs.models.clip_segmenter import TubeLink
from axialvs.models.cross_clip_refiner import CrossClipHead
from axialvs.models.matching import FullPrecisionHungarianAssigner
from axialvs.models.offline_segmenter import OfflineTubeLink
from axialvs.models.tube_link.clip_head import ClipMask2FormerHead
from axialvs.models.tube_link.pixel_decoder import ClipPixelDecoder
from axialvs.models.video_kmax.head import VideoKMaXHead
from axialvs.models.video_kmax.pixel_decoder import KMaXPixelDecoder

__all__ = [
    'ClipMask2FormerHead',
    'ClipPixelDecoder',
    'CrossClipHead',
    'FullPrecisionHungarianAssigner',
    'KMaXPixelDecoder',
    'OfflineTubeLink',
    'PaddedConvNeXt',
    'TubeLink',
    'VideoKMaXHead',
]
