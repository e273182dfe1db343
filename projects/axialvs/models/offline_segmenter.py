"""Axial-VS offline: the clips of a whole video are segmented one by one and refined together."""

from collections.abc import Sequence
from functools import partial

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from axialvs.checkpoints.key_mapping import fill_video_predictors
from axialvs.models.clip_segmenter import TubeLink
from axialvs.models.freezing import freeze, is_frozen, rest_frozen_parts
from axialvs.models.ground_truth import collate_clip_instances
from axialvs.structures import ClipPrediction, VideoPrediction
from axialvs.tracking.near_online import ClipLinker, NearOnlineTracks
from axialvs.tracking.offline import ClipFeatures, OfflineTracks, OfflineWindow
from axialvs.utils.errors import AxialVSError

# The clip-level segmenter with its within-clip tracking module (Axial-VS Sec. 4.1, appendix A).
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

# Clips of a stream without end that are refined together, and that neighbouring windows share.
DEFAULT_WINDOW = dict(num_clips=16, overlap=4)


@MODELS.register_module()
class OfflineTubeLink(TubeLink):
    """A clip-level segmenter with the cross-clip tracking module (Axial-VS Sec. 3.3).

    It also segments near-online, as the clip-level segmenter that it contains.

    Args:
        clip_length: T. A training sample of L frames is L / T clips.
        frozen: parameters that are not trained, names with wildcards. What is frozen whole runs in
            evaluation mode, and without a graph where nothing before it is trained.
        activation_checkpointing: whether a clip's activations are computed again for its gradient
            instead of kept, so that a whole video can be trained end to end: of each clip only
            frames, queries and mask features stay.
        test_cfg: further, `feature_memory` and `feature_precision` of `OfflineTracks`; `window`,
            the `num_clips` and `overlap` of `OfflineWindow`.
        args, kwargs: as in `TubeLink`; the head is a `CrossClipHead`.

    Raises:
        ValueError: if `frozen` does not fit the network.
    """

    modes = ('offline', 'near-online')

    def __init__(
        self,
        *args,
        clip_length: int,
        frozen: Sequence[str] = CLIP_SEGMENTER,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.clip_length = clip_length
        self.activation_checkpointing = activation_checkpointing
        freeze(self, frozen)
        head = self.panoptic_head
        if head.own_predictors and not is_frozen([head.cls_embed, head.mask_embed]):
            raise AxialVSError(
                "frozen: 'panoptic_head.cls_embed.*' and 'panoptic_head.mask_embed.*' must be in "
                'it, for with own_predictors=True no loss reaches them; or share them with '
                'own_predictors=False'
            )
        rest_frozen_parts(self)

    def train(self, mode: bool = True) -> 'OfflineTubeLink':
        """As in torch, but what is frozen stays in evaluation mode."""
        super().train(mode)
        rest_frozen_parts(self)
        return self

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Accepts checkpoints without layers of their own for the refined queries."""
        super()._load_from_state_dict(state_dict, prefix, *args)
        head = f'{prefix}panoptic_head.'
        names = [f'{head}{name}' for name in self.panoptic_head.state_dict()]
        fill_video_predictors(state_dict, names, head)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of a batch of videos (B, K * T, 3, H, W), see `CrossClipHead.loss_of_video`.

        Raises:
            ValueError: if the frames are no whole number of clips.
        """
        num_frames = inputs.shape[1]
        if num_frames % self.clip_length:
            raise AxialVSError(
                f'a training sample has {num_frames} frames, which are no whole number of clips of '
                f"{self.clip_length}; set the training data set's clip_length to a multiple"
            )
        encode = self._encode
        recompute = self.activation_checkpointing and self.training
        if recompute and not self._clips_at_rest:
            encode = partial(checkpoint, self._encode, use_reentrant=False)
        queries, mask_features = zip(
            *(encode(clips) for clips in inputs.split(self.clip_length, dim=1)), strict=True
        )
        objects = [
            collate_clip_instances(sample, inputs.device, self.num_classes)
            for sample in data_samples
        ]
        return self.panoptic_head.loss_of_video(
            torch.stack(queries, dim=1), mask_features, objects, recompute
        )

    @property
    def _clips_at_rest(self) -> bool:
        """Whether nothing that a clip's queries and mask features come from is trained."""
        return is_frozen([self.backbone, *self.panoptic_head.clip_parts()])

    def _encode(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (B, Q, C) and mask features (B, T, C, H, W) of clips (B, T, 3, H, W)."""
        grad = torch.is_grad_enabled()
        with torch.set_grad_enabled(grad and not is_frozen([self.backbone])):
            feats = self.extract_features(clips)
        with torch.set_grad_enabled(grad and not self._clips_at_rest):
            return self.panoptic_head.encode_clips(feats, clips.shape[1])

    def new_video(self, mode: str) -> OfflineTracks | NearOnlineTracks:
        """A video to which clips are added as `segment_clips` gives them in the same mode."""
        if mode != 'offline':
            return super().new_video(mode)
        settings = ('max_tracks', 'max_masks_per_frame', 'feature_memory', 'feature_precision')
        return OfflineTracks(
            torch.no_grad()(self.panoptic_head.refine_video),
            **{name: self.test_cfg[name] for name in settings if name in self.test_cfg},
        )

    def new_stream(self, mode: str) -> OfflineWindow | ClipLinker:
        """A stream to which clips are added likewise, and which decides as it goes."""
        if mode != 'offline':
            return super().new_stream(mode)
        window = {**DEFAULT_WINDOW, **self.test_cfg.get('window', {})}
        return OfflineWindow(torch.no_grad()(self.panoptic_head.refine_video), **window)

    @torch.no_grad()
    def segment_clips(self, clips: Tensor, mode: str) -> list[ClipPrediction] | list[ClipFeatures]:
        """What each clip (B, T, 3, H, W) gives to the video that it is a part of."""
        if mode != 'offline':
            return super().segment_clips(clips, mode)
        with self.autocast():
            return [ClipFeatures(*clip) for clip in zip(*self._encode(clips), strict=True)]

    @torch.no_grad()
    def predict_video(self, frames: Tensor) -> VideoPrediction:
        """Segments a video that lies in memory, all clips refined together.

        Args:
            frames: (L, 3, H, W), normalised and padded.

        Returns:
            Queries in the order of the first clip.
        """
        clips = self._split(len(frames))
        features = [
            self.segment_clips(frames[clip.frame_indices()].unsqueeze(0), 'offline')[0]
            for clip in clips
        ]
        refined = self.panoptic_head.refine_video(torch.stack([x.queries for x in features]))
        masks = [
            refined.mask_logits(k, x.mask_features[: clip.num_frames])
            for k, (clip, x) in enumerate(zip(clips, features, strict=True))
        ]
        return VideoPrediction(refined.class_logits, torch.cat(masks, dim=1))
