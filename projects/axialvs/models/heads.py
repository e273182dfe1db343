"""Interfaces of heads: what segmenters ask of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from axialvs.layers.cross_clip.base import CrossClipModule
from axialvs.postprocess.finisher import Finisher
from axialvs.postprocess.panoptic_finisher import NewMemory
from axialvs.structures import ClipFeatures, ClipPrediction, Size


class ClipHead(Protocol):
    """Segment clips, given backbone maps (B * T, C_l, H_l, W_l) from high to low resolution."""

    num_classes: int
    masks_compete: bool  # whether a pixel belongs to one query only

    def compile(self, **options: Any) -> None:
        """As in `nn.Module`."""

    def collate_targets(self, sample: TrackDataSample, device: torch.device) -> InstanceData:
        """Ground truth of a clip or video in the form that the losses take."""

    def loss(
        self, feats: Sequence[Tensor], num_frames: int, targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Losses of a batch of clips of T = `num_frames` frames."""

    def predict(self, feats: Sequence[Tensor], num_frames: int) -> list[ClipPrediction]:
        """Prediction of the last layer for each clip."""

    def embed_masks(self, prediction: ClipPrediction) -> Tensor:
        """Mask embeddings (Q, C') of a clip's queries."""

    def build_finisher(self, test_cfg: Mapping, new_memory: NewMemory) -> Finisher:
        """What the logits of a video are finished into; `new_memory` as in `PanopticFinisher`."""

    def align_corners(self, batch_input_shape: Size) -> bool:
        """How mask logits of inputs of this size are resized."""


class VideoHead(ClipHead, Protocol):
    """A clip head that also predicts from queries refined over the clips of a video."""

    cross_clip: CrossClipModule

    def clip_modules(self) -> list[nn.Module]:
        """Modules that compute the features of a clip."""

    def unreached_parameters(self) -> list[str]:
        """Names of modules that are trained although no loss of a video reaches them."""

    def encode_clips(self, feats: Sequence[Tensor], num_frames: int) -> ClipFeatures:
        """Features of a batch of clips, each field (B, ...)."""

    def video_class_features(self, queries: Tensor) -> Tensor:
        """Features (B, K, Q, C) of refined queries (B, K, Q, C), to be pooled over clips."""

    def predict_video_classes(self, features: Tensor) -> Tensor:
        """Class logits (B, Q, N + 1) of pooled features (B, Q, C)."""

    def embed_video_masks(self, queries: Tensor) -> Tensor:
        """Mask embeddings (B, K, Q, C') of refined queries (B, K, Q, C)."""

    def predict_video_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Masks (B, Q, T, H, W) of embeddings (B, Q, C') and one clip's (B, T, C', H, W)."""

    def video_loss(
        self, class_logits: list[Tensor], mask_logits: list[Tensor], targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Losses of cross-clip blocks: class logits (B, Q, N + 1), masks (B, Q, K * T, H, W)."""
