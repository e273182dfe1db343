"""Interfaces of heads for segmenters."""

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
    masks_compete: bool  # whether each pixel belongs to one query only

    def compile(self, **options: Any) -> None:
        """As in `nn.Module`."""

    def collate_targets(self, sample: TrackDataSample, device: torch.device) -> InstanceData:
        """Collate the ground truth of a clip or video for the losses."""

    def loss(
        self, feats: Sequence[Tensor], num_frames: int, targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch of clips of T = `num_frames` frames."""

    def predict(self, feats: Sequence[Tensor], num_frames: int) -> list[ClipPrediction]:
        """Predict each clip with the last layer."""

    def embed_masks(self, prediction: ClipPrediction) -> Tensor:
        """Compute mask embeddings (Q, C') of a clip's queries."""

    def build_finisher(self, test_cfg: Mapping, new_memory: NewMemory) -> Finisher:
        """Build the finisher of videos; `new_memory` as in `PanopticFinisher`."""

    def align_corners(self, batch_input_shape: Size) -> bool:
        """Return whether mask logits of inputs of this size are resized with aligned corners."""


class VideoHead(ClipHead, Protocol):
    """A clip head that also predicts from queries refined over the clips of a video."""

    cross_clip: CrossClipModule

    def clip_modules(self) -> list[nn.Module]:
        """Return the modules that compute the features of a clip."""

    def unreached_parameters(self) -> list[str]:
        """Return names of trainable modules that get no gradient from the losses of a video."""

    def encode_clips(self, feats: Sequence[Tensor], num_frames: int) -> ClipFeatures:
        """Compute features of a batch of clips, each field (B, ...)."""

    def video_class_features(self, queries: Tensor) -> Tensor:
        """Compute features (B, K, Q, C) of refined queries (B, K, Q, C), to pool over clips."""

    def predict_video_classes(self, features: Tensor) -> Tensor:
        """Predict class logits (B, Q, N + 1) from pooled features (B, Q, C)."""

    def embed_video_masks(self, queries: Tensor) -> Tensor:
        """Compute mask embeddings (B, K, Q, C') of refined queries (B, K, Q, C)."""

    def predict_video_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Predict masks (B, Q, T, H, W) from embeddings (B, Q, C'), features (B, T, C', H, W)."""

    def video_loss(
        self, class_logits: list[Tensor], mask_logits: list[Tensor], targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Compute losses of blocks from classes (B, Q, N + 1), masks (B, Q, K * T, H, W)."""
