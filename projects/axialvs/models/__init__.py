"""The segmenter and its parts, registered with mmdet's registries."""

from axialvs.models.clip_head import ClipMask2FormerHead
from axialvs.models.matching import FullPrecisionHungarianAssigner
from axialvs.models.pixel_decoder import ClipPixelDecoder
from axialvs.models.segmenter import TubeLink

__all__ = ['ClipMask2FormerHead', 'ClipPixelDecoder', 'FullPrecisionHungarianAssigner', 'TubeLink']
