"""The offline head: queries of all clips of a video refine one another, then say its masks."""

import copy
from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from axialvs.checkpoints.key_mapping import VIDEO_PREDICTORS
from axialvs.layers.cross_clip import CrossClipTracking
from axialvs.models.tube_link.clip_head import ClipMask2FormerHead
from axialvs.tracking.matching import align_clips
from axialvs.tracking.offline import RefinedVideo


@MODELS.register_module()
class CrossClipHead(ClipMask2FormerHead):
    """The clip head and, on top of it, the cross-clip tracking module (Axial-VS Sec. 3.3).

    The clip head stays what it is near-online. Offline it gives each clip's queries and mask
    features; the queries of all clips are aligned and refined, one class is predicted from all
    clips of a query, and each clip's masks from its refined query and its own mask features.

    Args:
        cross_clip: arguments of `CrossClipTracking` but the channels.
        own_predictors: whether the refined queries have class and mask layers of their own,
            `video_cls_embed` and `video_mask_embed`, so that training them does not change what
            the clip head does: its masks tell its queries where to look. False shares the clip
            head's, as the release does.
        args, kwargs: as in `ClipMask2FormerHead`.
    """

    def __init__(
        self, *args, cross_clip: dict | None = None, own_predictors: bool = True, **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        self.cross_clip = CrossClipTracking(self.decoder_embed_dims, **(cross_clip or {}))
        self.own_predictors = own_predictors
        if own_predictors:
            for video, clip in VIDEO_PREDICTORS.items():
                self.add_module(video, copy.deepcopy(getattr(self, clip)))

    def _predictor(self, name: str) -> nn.Module:
        """The layer of a refined query that goes by this name in `VIDEO_PREDICTORS`."""
        return getattr(self, name if self.own_predictors else VIDEO_PREDICTORS[name])

    def clip_parts(self) -> list[nn.Module]:
        """What a clip's queries and mask features are computed by."""
        return [
            self.pixel_decoder,
            self.decoder_input_projs,
            self.transformer_decoder,
            self.query_embed,
            self.query_feat,
            self.level_embed,
        ]

    def encode_clips(self, feats: Sequence[Tensor], num_frames: int) -> tuple[Tensor, Tensor]:
        """What clips leave for the refinement.

        Args:
            feats: backbone maps (B * T, C_l, H_l, W_l), from high to low resolution.
            num_frames: T.

        Returns:
            Queries (B, Q, C) and mask features (B, T, C, H, W).
        """
        decoding = self(feats, num_frames, all_layers=False)
        return decoding.queries, decoding.mask_features

    def predict_classes(self, refined: Tensor) -> Tensor:
        """One class for each query of a video: (B, K, Q, C) -> class logits (B, Q, N + 1)."""
        features = self.transformer_decoder.post_norm(refined)
        return self._predictor('video_cls_embed')(self.cross_clip.pool_clips(features))

    def embed_masks(self, refined: Tensor) -> Tensor:
        """Mask embeddings of each clip's queries: (B, K, Q, C) -> (B, K, Q, C)."""
        return self._predictor('video_mask_embed')(self.transformer_decoder.post_norm(refined))

    def refine_video(self, queries: Tensor) -> RefinedVideo:
        """Aligns and refines the queries (K, Q, C) of a video's clips."""
        refined = self.cross_clip(align_clips(queries.unsqueeze(0)))[-1]
        return RefinedVideo(self.predict_classes(refined)[0], self.embed_masks(refined)[0])

    def loss_of_video(
        self,
        queries: Tensor,
        mask_features: Sequence[Tensor],
        objects: list[InstanceData],
        recompute: bool = False,
    ) -> dict[str, Tensor]:
        """Losses of every block's predictions, in full precision.

        Args:
            queries: of all clips, (B, K, Q, C), not aligned yet.
            mask_features: K times (B, T, C, H, W).
            objects: for every video the `labels` (n,) and `masks` (n, K * T, H, W) at the padded
                input's size.
            recompute: whether the blocks' masks are computed again for the gradient, one block
                after the other, instead of kept.

        Returns:
            `loss_cls`, `loss_mask`, `loss_dice` of the last block and `d0.loss_cls` ... of those
            before.
        """
        tall = [InstanceData(labels=x.labels, masks=x.masks.flatten(1, 2)) for x in objects]
        refined = self.cross_clip(align_clips(queries))
        losses = {}
        for i, block in enumerate(refined):
            inputs = (block, mask_features, tall)
            if recompute and torch.is_grad_enabled():
                of_block = checkpoint(self._block_loss, *inputs, use_reentrant=False)
            else:
                of_block = self._block_loss(*inputs)
            prefix = '' if i == len(refined) - 1 else f'd{i}.'
            losses |= {f'{prefix}{name}': loss for name, loss in of_block.items()}
        return losses

    def _block_loss(
        self, refined: Tensor, mask_features: Sequence[Tensor], tall: list[InstanceData]
    ) -> dict[str, Tensor]:
        class_logits = self.predict_classes(refined)
        embeddings = self.embed_masks(refined)
        masks = torch.cat(
            [
                _masks_by_frame(embeddings[:, k], features)
                for k, features in enumerate(mask_features)
            ],
            dim=2,
        ).flatten(2, 3)
        with torch.autocast(refined.device.type, enabled=False):
            return self.loss_by_feat(
                [class_logits.float()], [masks.float()], tall, [{} for _ in tall]
            )


def _masks_by_frame(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits (B, Q, T, H, W) of mask embeddings (B, Q, C) and features (B, T, C, H, W).

    Frame by frame, for a product over all frames at once would keep a copy of the features.
    """
    masks = embeddings.unsqueeze(1) @ mask_features.flatten(3)
    return masks.unflatten(-1, mask_features.shape[-2:]).transpose(1, 2)
