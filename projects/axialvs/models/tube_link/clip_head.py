"""Tube-Link's head: each query represents an object in all frames of a clip."""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.layers.positional_encoding import SinePositionalEncoding3D
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from axialvs.functional.dot_product_masks import dot_product_masks
from axialvs.layers.attention import FusedMultiheadAttention
from axialvs.layers.cross_clip.designs import build_cross_clip
from axialvs.layers.position_encoding import CachedPositionEncoding
from axialvs.models.freezing import is_frozen
from axialvs.models.ground_truth import collate_clip_instances
from axialvs.postprocess.finisher import Finisher
from axialvs.postprocess.instances import InstanceFinisher
from axialvs.postprocess.panoptic_finisher import NewMemory
from axialvs.structures import ClipFeatures, ClipPrediction
from axialvs.utils.errors import AxialVSError


class ClipDecoding(NamedTuple):
    """Output of the transformer decoder for a batch of clips."""

    class_logits: list[Tensor]  # (B, Q, N + 1), before the first and after each layer
    mask_logits: list[Tensor]  # (B, Q, T, H, W), for the same layers
    queries: Tensor  # (B, Q, C) of the last layer, before its norm
    mask_features: Tensor  # (B, T, C, H, W)


@MODELS.register_module(name=['ClipMask2FormerHead', 'CrossClipHead'])
class ClipMask2FormerHead(Mask2FormerHead):
    """Mask2Former's head over the frames of a clip (Tube-Link; Axial-VS Sec. 3.1).

    Queries attend to the pixels of all frames, and one mask embedding is shared by all frames.
    Matching and losses are those of Mask2Former on one tall image that stacks the frames.

    Args:
        positional_encoding: as in mmdet, for (T, H, W).
        cross_clip: see `build_cross_clip`, for offline models; None for near-online ones.
        own_predictors: whether refined queries have separate class and mask layers,
            `video_cls_embed` and `video_mask_embed`. Training them does not change the clip head's
            layers, which its masked attention depends on. False shares the clip head's layers, as
            in the release.
        args, kwargs: as in mmdet's `Mask2FormerHead`; the pixel decoder is a `ClipPixelDecoder`.
    """

    masks_compete = False

    def __init__(
        self,
        *args,
        positional_encoding: dict,
        cross_clip: dict | None = None,
        own_predictors: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(*args, positional_encoding=positional_encoding, **kwargs)
        self.decoder_positional_encoding = CachedPositionEncoding(
            SinePositionalEncoding3D(**positional_encoding)
        )
        for layer in self.transformer_decoder.layers:
            for attention in (layer.cross_attn, layer.self_attn):
                attention.attn = FusedMultiheadAttention.from_module(attention.attn)
        self.own_predictors = cross_clip is not None and own_predictors
        if cross_clip is not None:
            self.cross_clip = build_cross_clip(self.decoder_embed_dims, cross_clip)
            count = getattr(self.cross_clip, 'num_queries', self.num_queries)
            if count != self.num_queries:  # mmdet's loss assumes a single number
                raise AxialVSError(
                    f'cross_clip.num_queries is {count}; set it to num_queries of the head, '
                    f'{self.num_queries}'
                )
        if self.own_predictors:
            self.video_cls_embed = copy.deepcopy(self.cls_embed)
            self.video_mask_embed = copy.deepcopy(self.mask_embed)

    def forward(
        self, feats: Sequence[Tensor], num_frames: int, all_layers: bool = True
    ) -> ClipDecoding:
        """Decode clips.

        Args:
            feats: backbone maps (B * T, C_l, H_l, W_l), high to low resolution, clip by clip.
            num_frames: T.
            all_layers: predict before the first and after every layer (deep supervision);
                otherwise only after the last layer.
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
        # Resizing commutes with the dot product: resize the features once instead of the masks of
        # every layer.
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
                mask_logits.append(dot_product_masks(embeddings, mask_features))
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
        """Flatten (B * T, C, H, W) to (B, T * H * W, C), and add the level embedding."""
        tokens = self.decoder_input_projs[level](memory).flatten(2).transpose(1, 2)
        return tokens.unflatten(0, (-1, num_frames)).flatten(1, 2) + self.level_embed.weight[level]

    def collate_targets(self, sample: TrackDataSample, device: torch.device) -> InstanceData:
        """Collate the objects of a clip or video, see `collate_clip_instances`."""
        return collate_clip_instances(sample, device, self.num_classes)

    def loss(
        self, feats: Sequence[Tensor], num_frames: int, targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Compute the losses of all layers in full precision.

        Args:
            feats, num_frames: see `forward`.
            targets: `labels` (n,) and `masks` (n, T, H, W) of each clip, at the padded input size.

        Returns:
            `loss_cls`, `loss_mask`, `loss_dice` of the last layer, and `d0.loss_cls` ... of the
            earlier predictions.
        """
        decoding = self(feats, num_frames)
        with torch.autocast(feats[0].device.type, enabled=False):
            class_logits = [x.float() for x in decoding.class_logits]
            mask_logits = [x.float() for x in decoding.mask_logits]
            return self.video_loss(class_logits, mask_logits, targets)

    def video_loss(
        self, class_logits: list[Tensor], mask_logits: list[Tensor], targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Compute losses of several predictions of clips or videos, named as in `loss`."""
        return self.loss_of_queries(class_logits, mask_logits, targets)

    def loss_of_queries(
        self,
        class_logits: list[Tensor],
        mask_logits: list[Tensor],
        targets: list[InstanceData],
        metainfo: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute `video_loss` for the given queries; `metainfo` is passed to `get_targets`."""
        tall = [InstanceData(labels=x.labels, masks=x.masks.flatten(1, 2)) for x in targets]
        return self.loss_by_feat(
            class_logits, [x.flatten(2, 3) for x in mask_logits], tall, [metainfo or {}] * len(tall)
        )

    def get_targets(self, *args, **kwargs) -> tuple:
        """Get targets as in mmdet, except that a clip without objects counts 0 masks, not 1."""
        *targets, _ = super().get_targets(*args, **kwargs)
        mask_targets = targets[2]
        return *targets, sum(len(masks) for masks in mask_targets)

    def predict(self, feats: Sequence[Tensor], num_frames: int) -> list[ClipPrediction]:
        """Predict each clip with the last layer; arguments as in `forward`."""
        decoding = self(feats, num_frames, all_layers=False)
        fields = decoding.class_logits[-1], decoding.mask_logits[-1], decoding.queries
        embeddings = self.embed_tracks(decoding.queries)
        return [
            ClipPrediction(*clip, track_embeddings=None if embeddings is None else embeddings[i])
            for i, clip in enumerate(zip(*fields, strict=True))
        ]

    def embed_tracks(self, queries: Tensor) -> Tensor | None:
        """Compute embeddings (B, Q, C) that link clips; None to link by queries (B, Q, C)."""
        return None

    def embed_masks(self, prediction: ClipPrediction) -> Tensor:
        """Compute mask embeddings (Q, C) of a clip's queries."""
        return self.mask_embed(self.transformer_decoder.post_norm(prediction.queries))

    def build_finisher(self, test_cfg: Mapping, new_memory: NewMemory) -> Finisher:
        """Build a finisher of ranked (query, class) pairs.

        Raises:
            AxialVSError: if there is a memory, which only panoptic models support.
        """
        if new_memory is not None:
            raise AxialVSError("test_cfg.linking='memory' is for panoptic models only")
        return InstanceFinisher(test_cfg['max_tracks'], test_cfg.get('max_masks_per_frame'))

    def align_corners(self, batch_input_shape: tuple[int, int]) -> bool:
        """Return False, as in Mask2Former."""
        return False

    def clip_modules(self) -> list[nn.Module]:
        """Return the modules that compute queries and mask features of a clip."""
        return [
            self.pixel_decoder,
            self.decoder_input_projs,
            self.transformer_decoder,
            self.query_embed,
            self.query_feat,
            self.level_embed,
        ]

    def unreached_parameters(self) -> list[str]:
        """Return names of trainable modules that get no gradient from the losses of a video."""
        names = ['cls_embed', 'mask_embed'] if self.own_predictors else []
        return [name for name in names if not is_frozen([getattr(self, name)])]

    def encode_clips(self, feats: Sequence[Tensor], num_frames: int) -> ClipFeatures:
        """Compute features of a batch of clips; arguments as in `forward`."""
        decoding = self(feats, num_frames, all_layers=False)
        identity = self.embed_tracks(decoding.queries)
        return ClipFeatures(
            decoding.queries if identity is None else identity,
            decoding.queries,
            decoding.mask_features,
        )

    def video_class_features(self, queries: Tensor) -> Tensor:
        """Normalize refined queries (B, K, Q, C)."""
        return self.transformer_decoder.post_norm(queries)

    def predict_video_classes(self, features: Tensor) -> Tensor:
        """Predict class logits (B, Q, N + 1) from features (B, Q, C) pooled over clips."""
        return (self.video_cls_embed if self.own_predictors else self.cls_embed)(features)

    def embed_video_masks(self, queries: Tensor) -> Tensor:
        """Compute mask embeddings (B, K, Q, C) of refined queries (B, K, Q, C)."""
        layer = self.video_mask_embed if self.own_predictors else self.mask_embed
        return layer(self.transformer_decoder.post_norm(queries))

    def predict_video_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Predict mask logits (B, Q, T, H, W) from embeddings (B, Q, C), features (B, T, C, H, W).

        Loops over frames if gradients are needed, because a product over all frames would store a
        copy of the features.
        """
        if not torch.is_grad_enabled():
            return dot_product_masks(embeddings, mask_features)
        masks = embeddings.unsqueeze(1) @ mask_features.flatten(3)
        return masks.unflatten(-1, mask_features.shape[-2:]).transpose(1, 2)


@torch.no_grad()
def attention_mask(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Mask attention to pixels outside of a query's mask, unless the mask is empty.

    Args:
        embeddings: (B, Q, C).
        mask_features: (B, T, C, H, W) at the size of the attended level.

    Returns:
        (B, Q, T * H * W) bool.
    """
    background = dot_product_masks(embeddings, mask_features).flatten(2) < 0
    return background & ~background.all(-1, keepdim=True)


def _resize_frames(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, T, C, H, W)."""
    resized = F.interpolate(features.flatten(0, 1), size, mode='bilinear', align_corners=False)
    return resized.unflatten(0, features.shape[:2])
