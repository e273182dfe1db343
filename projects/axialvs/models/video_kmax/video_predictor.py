"""Class logits and mask embeddings of queries that were refined over the clips of a video."""

from torch import Tensor

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

    def class_features(self, queries: Tensor) -> Tensor:
        """Features of refined queries (B, K, Q, C), in the same shape, to be pooled over clips."""
        features = self.class_proj(queries.flatten(0, 1).transpose(1, 2))
        return features.transpose(1, 2).unflatten(0, queries.shape[:2])

    def mask_embeddings(self, queries: Tensor) -> Tensor:
        """Args: refined `queries` (B, K, Q, C). Returns mask embeddings (B, K, Q, C')."""
        embeddings = self.embed_masks(self.mask_proj(queries.flatten(0, 1).transpose(1, 2)))
        return embeddings.unflatten(0, queries.shape[:2])
