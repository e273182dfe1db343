"""Samplers for training clips without end and for whole videos in a test."""

from axialvs.datasets.samplers.infinite_clip_sampler import InfiniteClipSampler
from axialvs.datasets.samplers.ratio_clip_sampler import RatioClipSampler
from axialvs.datasets.samplers.video_clip_sampler import VideoClipSampler

__all__ = ['InfiniteClipSampler', 'RatioClipSampler', 'VideoClipSampler']
