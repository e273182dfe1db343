"""Offline segmenters: segment the clips of a video separately, then refine them together."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from axialvs.models.clip_segmenter import ClipSegmenter
from axialvs.models.cross_clip_refiner import CrossClipRefiner
from axialvs.models.freezing import freeze, is_frozen, set_frozen_eval
from axialvs.models.heads import VideoHead
from axialvs.structures import ClipFeatures
from axialvs.tracking.offline import OfflineTracker, WindowSettings
from axialvs.tracking.tracker import Tracker
from axialvs.utils.errors import AxialVSError

# Tube-Link with its within-clip tracking module (Axial-VS Sec. 4.1, appendix A).
CLIP_SEGMENTER = (
    'backbone.*',
    'panoptic_head.pixel_decoder.*',
    'panoptic_head.decoder_input_projs.*',
    'panoptic_head.transformer_decoder.*',
    'panoptic_head.query_embed.*',
    'panoptic_head.query_feat.*',
    'panoptic_head.level_embed.*',
    'panoptic_head.cls_embed.*',
    'panoptic_head.mask_embed.*',
)


@MODELS.register_module(name=['AxialVSOffline', 'OfflineTubeLink'])
class OfflineSegmenter(ClipSegmenter):
    """A clip-level segmenter with the cross-clip tracking module (Axial-VS Sec. 3.3).

    It also supports near-online mode, like the clip-level segmenter that it contains.

    Args:
        clip_length: T. A training sample of `num_frames` frames is num_frames / T clips.
        frozen: names of frozen parameters, with wildcards. Fully frozen modules run in eval mode,
            and without gradients if nothing before them is trained.
        activation_checkpointing: recompute a clip's activations in backward, so that end-to-end
            training only stores the frames, queries and mask features of the clips.
        test_cfg: also has `feature_memory` and `feature_precision` of `OfflineVideo`, and
            `window`, see `WindowSettings`.
        kwargs: as in `ClipSegmenter`; the head is a `VideoHead`.

    Raises:
        AxialVSError: if `frozen` does not match the model.
    """

    panoptic_head: VideoHead
    clip_length: int

    def __init__(
        self,
        *,
        clip_length: int,
        frozen: Sequence[str] = CLIP_SEGMENTER,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(clip_length=clip_length, **kwargs)
        self.activation_checkpointing = activation_checkpointing
        self.refiner = CrossClipRefiner(self.panoptic_head)
        freeze(self, frozen)
        if trained := self.panoptic_head.unreached_parameters():
            raise AxialVSError(
                f'frozen: add {", ".join(repr(f"panoptic_head.{x}.*") for x in trained)}, which '
                'get no gradient with own_predictors=True; or set own_predictors=False of the '
                'head to share them'
            )
        set_frozen_eval(self)

    def train(self, mode: bool = True) -> 'OfflineSegmenter':
        """As in torch, but frozen modules stay in eval mode."""
        super().train(mode)
        set_frozen_eval(self)
        return self

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Compute losses of videos (B, K * T, 3, H, W), see `CrossClipRefiner.loss`.

        Raises:
            AxialVSError: if the number of frames is not a multiple of the clip length.
        """
        num_frames = inputs.shape[1]
        if num_frames % self.clip_length:
            raise AxialVSError(
                f'a training sample has {num_frames} frames, not a multiple of the clip length '
                f'{self.clip_length}; change num_frames of the training dataset'
            )
        encode: Callable[[Tensor], ClipFeatures] = self._encode
        recompute = self.activation_checkpointing and self.training
        if recompute and not self._clips_are_frozen:
            encode = partial(checkpoint, self._encode, use_reentrant=False)
        clips = [encode(clip) for clip in inputs.split(self.clip_length, dim=1)]
        targets = [self.panoptic_head.collate_targets(x, inputs.device) for x in data_samples]
        return self.refiner.loss(clips, targets, recompute)

    @property
    def _clips_are_frozen(self) -> bool:
        """Return whether all modules that compute the features of a clip are frozen."""
        return is_frozen([self.backbone, *self.panoptic_head.clip_modules()])

    def _encode(self, clips: Tensor) -> ClipFeatures:
        """Compute features of clips (B, T, 3, H, W), each field (B, ...)."""
        grad = torch.is_grad_enabled()
        with torch.set_grad_enabled(grad and not is_frozen([self.backbone])):
            feats = self.extract_features(clips)
        with torch.set_grad_enabled(grad and not self._clips_are_frozen):
            return self.panoptic_head.encode_clips(feats, clips.shape[1])

    @torch.no_grad()
    def _encode_clips(self, clips: Tensor) -> list[ClipFeatures]:
        """Compute features of each clip (B, T, 3, H, W) for inference."""
        with self.autocast():
            return [ClipFeatures(*clip) for clip in zip(*self._encode(clips), strict=True)]

    def trackers(self) -> dict[str, Callable[[], Tracker]]:
        """Return constructors of trackers: offline (default), and those of the clip segmenter."""
        return {'offline': self._offline_tracker, **super().trackers()}

    def _offline_tracker(self) -> OfflineTracker:
        settings = {
            name: self.test_cfg[name]
            for name in ('feature_memory', 'feature_precision')
            if name in self.test_cfg
        }
        return OfflineTracker(
            self._encode_clips,
            self.refiner.refine,
            self.finisher,
            WindowSettings(**self.test_cfg.get('window', {})),
            **settings,
        )
