"""Cross-clip refinement of the queries of all clips of a video."""

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from axialvs.models.heads import VideoHead
from axialvs.structures import ClipFeatures
from axialvs.tracking.matching import align_clips, gather_queries
from axialvs.tracking.offline import RefinedVideo


class CrossClipRefiner:
    """Apply a head's cross-clip tracking module to the clips of a video (Axial-VS Sec. 3.3).

    Queries are aligned over clips and refined. Each query then predicts one class for the whole
    video, and one mask per clip from the clip's refined query and mask features. All parameters
    belong to the head.

    Args:
        head: a clip head with a cross-clip module.
    """

    def __init__(self, head: VideoHead) -> None:
        self.head = head

    def refine(self, identities: Tensor, queries: Tensor) -> RefinedVideo:
        """Align and refine the clips of one video.

        Args:
            identities: (K, Q, C'), each clip in its own order.
            queries: (K, Q, C).
        """
        refined = self._blocks(identities.unsqueeze(0), queries.unsqueeze(0))[-1]
        return RefinedVideo(
            self._classify(refined)[0],
            self.head.embed_video_masks(refined)[0],
            self.head.predict_video_masks,
            self.head.cross_clip.keeps_queries,
        )

    def loss(
        self,
        clips: Sequence[ClipFeatures],
        targets: list[InstanceData],
        recompute: bool = False,
    ) -> dict[str, Tensor]:
        """Compute the losses of all blocks for a batch of videos.

        Args:
            clips: features of the K clips, each field (B, ...).
            targets: ground truth of each video, see `ClipHead.collate_targets`.
            recompute: recompute each block's masks in backward instead of storing them.

        Returns:
            The head's losses; those of earlier blocks are prefixed `d0.`, `d1.` ...
        """
        identities = torch.stack([clip.identity for clip in clips], dim=1)
        queries = torch.stack([clip.queries for clip in clips], dim=1)
        mask_features = [clip.mask_features for clip in clips]
        blocks = self._blocks(identities, queries)
        if not (recompute and torch.is_grad_enabled()):
            return self._loss(blocks, mask_features, targets)
        losses: dict[str, Tensor] = {}
        for i, block in enumerate(blocks):
            prefix = '' if i == len(blocks) - 1 else f'd{i}.'
            block_losses = checkpoint(
                self._loss, [block], mask_features, targets, use_reentrant=False
            )
            losses |= {f'{prefix}{name}': value for name, value in block_losses.items()}
        return losses

    def _blocks(self, identities: Tensor, queries: Tensor) -> list[Tensor]:
        """Compute the outputs (B, K, Q, C) of all blocks from identities and queries."""
        return self.head.cross_clip(gather_queries(queries, align_clips(identities)))

    def _classify(self, refined: Tensor) -> Tensor:
        """Predict class logits (B, Q, N + 1) from refined queries (B, K, Q, C)."""
        features = self.head.video_class_features(refined)
        return self.head.predict_video_classes(self.head.cross_clip.pool_clips(features))

    def _loss(
        self, blocks: list[Tensor], mask_features: list[Tensor], targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        class_logits = [self._classify(block) for block in blocks]
        mask_logits = [self._predict_masks(block, mask_features) for block in blocks]
        with torch.autocast(blocks[0].device.type, enabled=False):
            return self.head.video_loss(
                [x.float() for x in class_logits], [x.float() for x in mask_logits], targets
            )

    def _predict_masks(self, refined: Tensor, mask_features: list[Tensor]) -> Tensor:
        """Predict mask logits (B, Q, K * T, H, W) from refined queries (B, K, Q, C)."""
        embeddings = self.head.embed_video_masks(refined)
        masks = [
            self.head.predict_video_masks(embeddings[:, k], features)
            for k, features in enumerate(mask_features)
        ]
        return torch.cat(masks, dim=2)
