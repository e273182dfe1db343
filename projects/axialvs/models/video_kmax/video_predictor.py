"""Class logits and mask embeddings of queries refined over the clips of a video."""

from torch import Tensor

from axialvs.models.video_kmax.conv_norm import ConvNormAct
from axialvs.models.video_kmax.mask_predictor import QueryPredictor


class VideoPredictor(QueryPredictor):
    """Predict one class per query for the whole video, and one mask embedding per query and clip.

    Args:
        channels: C of queries.
        mask_channels: C of mask embeddings and pixel features.
        num_classes: N.
    """

    def __init__(self, channels: int, mask_channels: int, num_classes: int) -> None:
        super().__init__(channels, mask_channels, num_classes)
        self.class_proj = ConvNormAct(channels, channels, dims=1)
        self.mask_proj = ConvNormAct(channels, channels, dims=1)

    def class_features(self, queries: Tensor) -> Tensor:
        """Compute features of refined queries (B, K, Q, C), same shape, to pool over clips."""
        features = self.class_proj(queries.flatten(0, 1).transpose(1, 2))
        return features.transpose(1, 2).unflatten(0, queries.shape[:2])

    def mask_embeddings(self, queries: Tensor) -> Tensor:
        """Compute mask embeddings (B, K, Q, C') of refined `queries` (B, K, Q, C)."""
        embeddings = self.embed_masks(self.mask_proj(queries.flatten(0, 1).transpose(1, 2)))
        return embeddings.unflatten(0, queries.shape[:2])
