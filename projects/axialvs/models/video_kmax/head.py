"""Video-kMaX's head: clip queries are cluster centers of the pixels of all frames of a clip."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModule
from torch import Tensor, nn

from axialvs.layers.cross_clip.designs import build_cross_clip
from axialvs.layers.within_clip import WithinClipTracking
from axialvs.models.freezing import is_frozen
from axialvs.models.ground_truth import collate_clip_instances
from axialvs.models.video_kmax.conv_norm import ConvNormAct, trunc_normal_
from axialvs.models.video_kmax.kmeans_decoder import KMeansLayer
from axialvs.models.video_kmax.losses import KMaXOutputs, LossSettings, kmax_losses
from axialvs.models.video_kmax.mask_predictor import MaskPredictor
from axialvs.models.video_kmax.matching import ClipTargets
from axialvs.models.video_kmax.semantic_head import SemanticHead
from axialvs.models.video_kmax.video_predictor import VideoPredictor
from axialvs.postprocess.panoptic import PanopticThresholds
from axialvs.postprocess.panoptic_finisher import NewMemory, PanopticFinisher
from axialvs.structures import ClipFeatures, ClipPrediction

# Stride of mask logits and of ground-truth masks.
MASK_STRIDE = 4


class KMaXDecoding(NamedTuple):
    """Outputs of the head for a batch of clips; lists have one entry per layer, the final last."""

    class_logits: list[Tensor]  # (B, Q, N + 1), the last column is no-object
    mask_logits: list[Tensor]  # (B, Q, T, H_l, W_l), at the size of the layer's map
    pixel_features: list[Tensor]  # (B, C, T, H_l, W_l), of unit length
    mask_embeddings: Tensor  # (B, Q, C) of the final prediction
    queries: Tensor  # (B, Q, C) of the last decoder layer
    semantic_logits: Tensor | None  # (B, N + 1, T, H, W), in training


@MODELS.register_module()
class VideoKMaXHead(BaseModule):
    """kMaX-DeepLab's head over the frames of a clip (Video-kMaX; Axial-VS Sec. 3.1).

    The decoder stacks the frames of a clip along the height, so an image is a clip of one frame.
    Without `within_clip`, this is the baseline.

    Args:
        num_things_classes, num_stuff_classes: sum up to N.
        in_channels: channels of the backbone maps, from high to low resolution.
        pixel_decoder: config of a `KMaXPixelDecoder`, without its `in_channels`.
        within_clip: arguments of `WithinClipTracking`, without its `in_channels`.
        semantic_head: arguments of `SemanticHead` except channels and classes; None for no such
            head.
        num_queries: Q.
        channels: C of queries.
        mask_channels: C of mask embeddings and pixel features.
        layers_per_level: decoder layers of each memory level, from low to high resolution.
        decoder_layer: further arguments of `KMeansLayer`.
        cross_clip: see `build_cross_clip`, for offline models; None for near-online ones.
        loss: arguments of `LossSettings`; `video_loss` uses its class, mask and dice weights.
        train_cfg: not used.
        init_cfg: initialization.
    """

    masks_compete = True

    def __init__(
        self,
        num_things_classes: int,
        num_stuff_classes: int,
        in_channels: Sequence[int],
        pixel_decoder: dict,
        within_clip: dict | None = None,
        semantic_head: dict | None = None,
        num_queries: int = 128,
        channels: int = 256,
        mask_channels: int = 128,
        layers_per_level: Sequence[int] = (2, 2, 2),
        decoder_layer: dict | None = None,
        cross_clip: dict | None = None,
        loss: dict | None = None,
        train_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_things_classes = num_things_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.within_clip = None
        if within_clip is not None:
            self.within_clip = WithinClipTracking(in_channels[1:], **within_clip)
        self.pixel_decoder = MODELS.build({**pixel_decoder, 'in_channels': in_channels})
        *memory_channels, finest_channels = self.pixel_decoder.out_channels
        if len(layers_per_level) != len(memory_channels):
            raise ValueError(
                f'layers_per_level has {len(layers_per_level)} entries, but the pixel decoder has '
                f'{len(memory_channels)} memory levels'
            )
        self.layers_per_level = tuple(layers_per_level)
        layer = partial(
            KMeansLayer,
            num_classes=self.num_classes,
            channels=channels,
            mask_channels=mask_channels,
            **(decoder_layer or {}),
        )
        self.decoder_layers = nn.ModuleList(
            layer(pixel_channels=pixel_channels)
            for pixel_channels, count in zip(memory_channels, layers_per_level, strict=True)
            for _ in range(count)
        )
        self.cluster_centers = nn.Parameter(trunc_normal_(torch.empty(channels, num_queries), 1.0))
        self.class_proj = ConvNormAct(channels, channels, dims=1)
        self.mask_proj = ConvNormAct(channels, channels, dims=1)
        self.predictor = MaskPredictor(channels, finest_channels, mask_channels, self.num_classes)
        self.semantic_head = None
        if semantic_head is not None:
            semantic_channels = (in_channels[0], in_channels[1], in_channels[-1])
            self.semantic_head = SemanticHead(semantic_channels, self.num_classes, **semantic_head)
        if cross_clip is not None:
            self.cross_clip = build_cross_clip(channels, cross_clip)
            self.video_predictor = VideoPredictor(channels, mask_channels, self.num_classes)
        self.loss_settings = LossSettings(**(loss or {}))
        if self.semantic_head is None:
            self.loss_settings = self.loss_settings._replace(semantic_weight=0.0)

    def forward(
        self, feats: Sequence[Tensor], num_frames: int, all_layers: bool = True
    ) -> KMaXDecoding:
        """Decode clips.

        Args:
            feats: backbone maps (B * T, C_l, H_l, W_l), from high to low resolution, clip by clip.
            num_frames: T.
            all_layers: whether to return the outputs that only losses need: the predictions of
                all layers and the semantic logits.
        """
        feats = list(feats)
        if self.within_clip is not None:
            feats[1:] = self.within_clip(feats[1:], num_frames)
        mask_features, memory = self.pixel_decoder(feats)
        queries = self.cluster_centers.expand(len(feats[0]) // num_frames, -1, -1)
        predictions = []
        layers = iter(self.decoder_layers)
        for pixels, count in zip(memory, self.layers_per_level, strict=True):
            pixels = stack_frames(pixels, num_frames)
            for _ in range(count):
                queries, prediction = next(layers)(queries, pixels)
                if all_layers:
                    predictions.append(prediction)
        final = self.predictor(
            self.class_proj(queries),
            self.mask_proj(queries),
            stack_frames(mask_features, num_frames),
        )
        predictions.append(final)
        semantic_logits = None
        if all_layers and self.semantic_head is not None:
            semantic_logits = self.semantic_head(feats[0], feats[1], feats[-1])
            semantic_logits = semantic_logits.unflatten(0, (-1, num_frames)).transpose(1, 2)
        return KMaXDecoding(
            [x.class_logits for x in predictions],
            [unstack_frames(x.mask_logits, num_frames) for x in predictions],
            [unstack_frames(x.pixel_features, num_frames) for x in predictions],
            final.mask_embeddings,
            queries.transpose(1, 2),
            semantic_logits,
        )

    def collate_targets(self, sample: TrackDataSample, device: torch.device) -> ClipTargets:
        """Collate things and stuff of a clip or video at the size of the mask logits."""
        segments = collate_clip_instances(sample, device, self.num_classes, MASK_STRIDE)
        return ClipTargets(segments.labels, segments.masks.bool())

    def loss(
        self, feats: Sequence[Tensor], num_frames: int, targets: list[ClipTargets]
    ) -> dict[str, Tensor]:
        """Compute the losses of all layers in full precision.

        Args:
            feats, num_frames: as in `forward`.
            targets: targets of each clip.

        Returns:
            See `kmax_losses`.
        """
        decoding = self(feats, num_frames)
        semantic_logits = decoding.semantic_logits
        with torch.autocast(feats[0].device.type, enabled=False):
            outputs = KMaXOutputs(
                [x.float() for x in decoding.class_logits],
                [x.float() for x in decoding.mask_logits],
                [x.float() for x in decoding.pixel_features],
                None if semantic_logits is None else semantic_logits.float(),
            )
            return kmax_losses(outputs, targets, self.loss_settings)

    def predict(self, feats: Sequence[Tensor], num_frames: int) -> list[ClipPrediction]:
        """Predict each clip with the final layer; arguments as in `forward`."""
        decoding = self(feats, num_frames, all_layers=False)
        return [
            ClipPrediction(*prediction)
            for prediction in zip(
                decoding.class_logits[-1],
                decoding.mask_logits[-1],
                decoding.queries,
                decoding.mask_embeddings,
                strict=True,
            )
        ]

    def embed_masks(self, prediction: ClipPrediction) -> Tensor:
        """Return the mask embeddings (Q, C) of a clip's queries."""
        assert prediction.mask_embeddings is not None
        return prediction.mask_embeddings

    def build_finisher(self, test_cfg: Mapping, new_memory: NewMemory) -> PanopticFinisher:
        """Build the panoptic merge with `thing_labels` and the thresholds `panoptic` of `test_cfg`.

        `thing_labels` are the first `num_things_classes` by default.
        """
        return PanopticFinisher(
            test_cfg.get('thing_labels') or range(self.num_things_classes),
            PanopticThresholds(**test_cfg.get('panoptic', {})),
            new_memory=new_memory,
        )

    def align_corners(self, batch_input_shape: tuple[int, int]) -> bool:
        """Return whether mask logits of inputs of this size (H, W) are aligned; see `resize`."""
        return batch_input_shape[1] % 2 == 1

    def clip_modules(self) -> list[nn.Module]:
        """Return the modules that compute the features of a clip."""
        modules = [self.within_clip, self.pixel_decoder, self.decoder_layers]
        modules += [self.class_proj, self.mask_proj, self.predictor]
        return [module for module in modules if module is not None]

    def unreached_parameters(self) -> list[str]:
        """Return names of trainable modules that get no gradient from the losses of a video.

        The assignments of pixels and queries have no gradient, so most predictors are among them.
        """
        layers = (f'decoder_layers.{i}.predictor' for i in range(len(self.decoder_layers)))
        final = (f'predictor.{name}' for name in ('cls_embed', 'mask_embed', 'mask_norm'))
        names = ('class_proj', 'mask_proj', *layers, *final)
        return [name for name in names if not is_frozen([self.get_submodule(name)])]

    def encode_clips(self, feats: Sequence[Tensor], num_frames: int) -> ClipFeatures:
        """Compute features of a batch of clips, each field (B, ...); arguments as in `forward`."""
        decoding = self(feats, num_frames, all_layers=False)
        mask_features = decoding.pixel_features[-1].transpose(1, 2)
        return ClipFeatures(decoding.mask_embeddings, decoding.queries, mask_features)

    def video_class_features(self, queries: Tensor) -> Tensor:
        """Compute features (B, K, Q, C) of refined queries (B, K, Q, C), to pool over clips."""
        return self.video_predictor.class_features(queries)

    def predict_video_classes(self, features: Tensor) -> Tensor:
        """Predict class logits (B, Q, N + 1) from features (B, Q, C) pooled over clips."""
        return self.video_predictor.predict_classes(features.transpose(1, 2))

    def embed_video_masks(self, queries: Tensor) -> Tensor:
        """Compute mask embeddings (B, K, Q, C') of refined queries (B, K, Q, C)."""
        return self.video_predictor.mask_embeddings(queries)

    def predict_video_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Predict mask logits (B, Q, T, H, W) of embeddings (B, Q, C'), features (B, T, C', H, W).

        In training, the batch norm is not applied here but in `video_loss`, to all clips together,
        because its statistics are those of whole videos.
        """
        products = embeddings.unsqueeze(1) @ mask_features.flatten(3)
        products = products.unflatten(-1, mask_features.shape[-2:]).transpose(1, 2)
        return products if self.training else self.video_predictor.normalize_masks(products)

    def video_loss(
        self, class_logits: list[Tensor], mask_logits: list[Tensor], targets: list[ClipTargets]
    ) -> dict[str, Tensor]:
        """Compute the losses of cross-clip blocks.

        Args:
            class_logits: of each block, (B, Q, N + 1).
            mask_logits: of each block, (B, Q, K * T, H, W), see `predict_video_masks`.
            targets: targets of each video.

        Returns:
            See `kmax_losses`.
        """
        if self.training:
            mask_logits = [self.video_predictor.normalize_masks(x) for x in mask_logits]
        settings = self.loss_settings._replace(contrast_weight=0.0, semantic_weight=0.0)
        return kmax_losses(KMaXOutputs(class_logits, mask_logits), targets, settings)


def stack_frames(maps: Tensor, num_frames: int) -> Tensor:
    """Stack the frames of each clip along the height: (B * T, C, H, W) -> (B, C, T * H, W)."""
    if num_frames == 1:
        return maps
    return maps.unflatten(0, (-1, num_frames)).transpose(1, 2).flatten(2, 3)


def unstack_frames(maps: Tensor, num_frames: int) -> Tensor:
    """Split stacked frames: (B, C, T * H, W) -> (B, C, T, H, W)."""
    return maps.unflatten(2, (num_frames, -1))
