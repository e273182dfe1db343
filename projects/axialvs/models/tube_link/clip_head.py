"""Tube-Link's head: clip queries that describe an object in all frames of a clip at once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.layers.positional_encoding import SinePositionalEncoding3D
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from axialvs.layers.attention import FusedMultiheadAttention
from axialvs.layers.position_encoding import CachedPositionEncoding
from axialvs.structures import ClipPrediction


class ClipDecoding(NamedTuple):
    """What the decoder makes of a batch of clips."""

    class_logits: list[Tensor]  # one (B, Q, N + 1) for the start and for each decoder layer
    mask_logits: list[Tensor]  # one (B, Q, T, H, W) for each of them
    queries: Tensor  # (B, Q, C) of the last layer, before its norm
    mask_features: Tensor  # (B, T, C, H, W)


@MODELS.register_module()
class ClipMask2FormerHead(Mask2FormerHead):
    """Mask2Former's head over the frames of a clip (Tube-Link; Axial-VS Sec. 3.1).

    Queries attend to the pixels of all frames; one mask embedding serves every frame. Losses and
    matching are Mask2Former's on one tall image, the clip's frames below one another. Arguments are
    as in mmdet's `Mask2FormerHead`; the pixel decoder is a `ClipPixelDecoder`.
    """

    def __init__(self, *args, positional_encoding: dict, **kwargs) -> None:
        super().__init__(*args, positional_encoding=positional_encoding, **kwargs)
        self.decoder_positional_encoding = CachedPositionEncoding(
            SinePositionalEncoding3D(**positional_encoding)
        )
        for layer in self.transformer_decoder.layers:
            for attention in (layer.cross_attn, layer.self_attn):
                attention.attn = FusedMultiheadAttention.take_over(attention.attn)

    def forward(
        self, feats: Sequence[Tensor], num_frames: int, all_layers: bool = True
    ) -> ClipDecoding:
        """Decodes clips.

        Args:
            feats: backbone maps (B * T, C_l, H_l, W_l), from high to low resolution, clip after
                clip.
            num_frames: T.
            all_layers: whether class logits are computed for every layer (deep supervision) or the
                last one only.

        Returns:
            The predictions of the start and of every layer, or of the last layer only.
        """
        mask_features, memory = self.pixel_decoder(list(feats), num_frames)
        mask_features = mask_features.unflatten(0, (-1, num_frames))
        batch = mask_features.shape[0]
        sizes = [tuple(x.shape[-2:]) for x in memory]
        keys = [self._memory_tokens(x, i, num_frames) for i, x in enumerate(memory)]
        key_positions = [
            self.decoder_positional_encoding((num_frames, *size), mask_features.device).flatten(
                1, 3
            )
            for size in sizes
        ]
        # Resizing and the product with an embedding are both linear: resizing the features once
        # spares resizing every layer's masks.
        small_features = [_resize_frames(mask_features.detach(), size) for size in sizes]
        queries = self.query_feat.weight.expand(batch, -1, -1)
        query_positions = self.query_embed.weight.expand(batch, -1, -1)

        class_logits, mask_logits = [], []
        num_layers = len(self.transformer_decoder.layers)
        for i in range(num_layers + 1):
            normed = self.transformer_decoder.post_norm(queries)
            embeddings = self.mask_embed(normed)
            if all_layers or i == num_layers:
                class_logits.append(self.cls_embed(normed))
                mask_logits.append(predict_masks(embeddings, mask_features))
            if i == num_layers:
                break
            level = i % len(memory)
            queries = self.transformer_decoder.layers[i](
                query=queries,
                key=keys[level],
                value=keys[level],
                query_pos=query_positions,
                key_pos=key_positions[level].expand(batch, -1, -1),
                cross_attn_mask=attention_mask(embeddings.detach(), small_features[level]),
            )
        return ClipDecoding(class_logits, mask_logits, queries, mask_features)

    def _memory_tokens(self, memory: Tensor, level: int, num_frames: int) -> Tensor:
        """(B * T, C, H, W) -> (B, T * H * W, C), with the level's embedding."""
        tokens = self.decoder_input_projs[level](memory).flatten(2).transpose(1, 2)
        return tokens.unflatten(0, (-1, num_frames)).flatten(1, 2) + self.level_embed.weight[level]

    def loss(
        self, feats: Sequence[Tensor], num_frames: int, objects: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Losses of all layers' predictions, in full precision.

        Args:
            feats, num_frames: as in `forward`.
            objects: for every clip the `labels` (n,) and `masks` (n, T, H, W) at the padded input's
                size.

        Returns:
            `loss_cls`, `loss_mask`, `loss_dice` of the last layer and `d0.loss_cls` ... of those
            before.
        """
        decoding = self(feats, num_frames)
        tall = [InstanceData(labels=x.labels, masks=x.masks.flatten(1, 2)) for x in objects]
        with torch.autocast(feats[0].device.type, enabled=False):
            return self.loss_by_feat(
                [x.float() for x in decoding.class_logits],
                [x.float().flatten(2, 3) for x in decoding.mask_logits],
                tall,
                [{} for _ in objects],
            )

    def predict(self, feats: Sequence[Tensor], num_frames: int) -> list[ClipPrediction]:
        """The last layer's prediction for each clip; arguments as in `forward`."""
        decoding = self(feats, num_frames, all_layers=False)
        return [
            ClipPrediction(*prediction)
            for prediction in zip(
                decoding.class_logits[-1], decoding.mask_logits[-1], decoding.queries, strict=True
            )
        ]


def predict_masks(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits (B, Q, T, H, W) of mask embeddings (B, Q, C) and features (B, T, C, H, W)."""
    return torch.einsum('bqc,btchw->bqthw', embeddings, mask_features)


@torch.no_grad()
def attention_mask(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Where a query must not look: outside of its mask, unless that is empty in the clip.

    Args:
        embeddings: (B, Q, C).
        mask_features: (B, T, C, H, W) at the size of the level that is looked at.

    Returns:
        (B, Q, T * H * W) bool.
    """
    background = predict_masks(embeddings, mask_features).flatten(2) < 0
    return background & ~background.all(-1, keepdim=True)


def _resize_frames(features: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, T, C, H, W) at another size."""
    resized = F.interpolate(features.flatten(0, 1), size, mode='bilinear', align_corners=False)
    return resized.unflatten(0, features.shape[:2])
