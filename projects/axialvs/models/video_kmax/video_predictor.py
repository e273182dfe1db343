"""Class and mask logits of queries that were refined over all clips of a video."""

from torch import Tensor

from axialvs.layers.cross_clip import CrossClipTracking
from axialvs.models.video_kmax.conv_norm import ConvNormAct
from axialvs.models.video_kmax.mask_predictor import QueryPredictor


class VideoPredictor(QueryPredictor):
    """One class per query for the whole video, one mask embedding per query and clip.

    Args:
        channels: C of queries.
        mask_channels: C of mask embeddings and pixel features.
        num_classes: N.
    """

    def __init__(self, channels: int, mask_channels: int, num_classes: int) -> None:
        super().__init__(channels, mask_channels, num_classes)
        self.class_proj = ConvNormAct(channels, channels, dims=1)
        self.mask_proj = ConvNormAct(channels, channels, dims=1)

    def predict_video_classes(self, queries: Tensor, cross_clip: CrossClipTracking) -> Tensor:
        """Pools the clips of each video and classifies (Axial-VS Sec. 3.3).

        Args:
            queries: (B, K, Q, C), refined.
            cross_clip: knows how the clips of a query are weighted.

        Returns:
            (B, Q, N + 1).
        """
        features = self.class_proj(queries.flatten(0, 1).transpose(1, 2))
        features = features.transpose(1, 2).unflatten(0, queries.shape[:2])
        return self.predict_classes(cross_clip.pool_clips(features).transpose(1, 2))

    def embed_video_masks(self, queries: Tensor) -> Tensor:
        """Mask embeddings (B, K, Q, C') of refined queries (B, K, Q, C)."""
        embeddings = self.embed_masks(self.mask_proj(queries.flatten(0, 1).transpose(1, 2)))
        return embeddings.unflatten(0, queries.shape[:2])

    def predict_video_masks(self, embeddings: Tensor, pixel_features: Tensor) -> Tensor:
        """Each clip's masks from its own embeddings and pixels.

        Args:
            embeddings: (B, K, Q, C).
            pixel_features: (B, K, C, T, H, W).

        Returns:
            (B, Q, K * T, H, W).
        """
        batch = embeddings.shape[:2]
        masks = self.predict_masks(embeddings.flatten(0, 1), pixel_features.flatten(0, 1))
        return masks.unflatten(0, batch).transpose(1, 2).flatten(2, 3)
