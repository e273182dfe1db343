"""Linking the clips of a video: which query of the next clip continues which track."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from axialvs.structures import ClipPrediction, LinkedClip
from axialvs.tracking.clip_memory import ClipMemory
from axialvs.tracking.identity_memory import IdentityMemory, binary_masks
from axialvs.tracking.matching import cosine_similarity, match_by_similarity, match_queries
from axialvs.utils.errors import AxialVSError

LinkedBy = Literal['identity', 'queries', 'mask_embeddings', 'mask_iou']


class LinkSettings(NamedTuple):
    """Settings of `test_cfg.linking`, which is a name or a dict of some of these."""

    # 'identity' compares the model's identity features of two clips; 'mask_iou' their masks in the
    # shared frames.
    by: LinkedBy = 'identity'
    # Number of previous frames that are part of the next clip's input. Their masks are not
    # replaced, so a stream has no additional latency.
    overlap: int = 0
    # Arguments of `IdentityMemory`; None links each clip to the previous one.
    memory: Mapping[str, Any] | None = None
    masks_compete: bool = False  # see `IdentityMemory`; set by the model
    # Links the things of independently merged clips if the setting is 'memory'.
    thing_memory: type[ClipMemory] | None = None

    @classmethod
    def from_test_cfg(cls, test_cfg: Mapping, masks_compete: bool) -> 'LinkSettings':
        """Read `test_cfg.linking`.

        Raises:
            AxialVSError: if a setting is unknown or does not fit the others.
        """
        linking = test_cfg.get('linking', 'queries')
        settings = cls(masks_compete=masks_compete)
        if linking in ('queries', 'memory'):
            return settings._replace(thing_memory=ClipMemory if linking == 'memory' else None)
        if not isinstance(linking, Mapping):
            raise AxialVSError(
                f"test_cfg.linking is '{linking}', not 'queries', 'memory' or a dict"
            )
        if unknown := set(linking) - {'by', 'overlap', 'memory'}:
            raise AxialVSError(
                f'test_cfg.linking: unknown keys {sorted(unknown)}; use by, overlap, memory'
            )
        settings = settings._replace(**linking)
        if settings.by not in get_args(LinkedBy):
            raise AxialVSError(
                f"test_cfg.linking.by is '{settings.by}'; use one of {get_args(LinkedBy)}"
            )
        if settings.overlap < 0:
            raise AxialVSError(
                f'test_cfg.linking.overlap is {settings.overlap}: must be at least 0'
            )
        if settings.by == 'mask_iou' and (settings.overlap == 0 or settings.memory is not None):
            raise AxialVSError(
                "test_cfg.linking.by='mask_iou' compares the frames that neighboring clips share: "
                'set overlap to 1 or more, and no memory'
            )
        return settings


class ClipLinker:
    """Align successive clips and average their class logits.

    Memory is constant in the length of the video: the last clip's identities and a running sum.

    Args:
        settings: how clips are linked.
    """

    def __init__(self, settings: LinkSettings = LinkSettings()) -> None:  # noqa: B008, immutable
        self._settings = settings
        self._memory: IdentityMemory | None = None
        if settings.memory is not None:
            options = {'masks_compete': settings.masks_compete, **settings.memory}
            self._memory = IdentityMemory(**options)
        self._previous: Tensor | None = None
        self._last_masks: Tensor | None = None  # (Q, overlap, H, W) bool
        self._num_context = 0  # frames that the next clip shares with the previous one
        self._logit_sum: Tensor | None = None
        self.num_clips = 0

    def link(self, prediction: ClipPrediction) -> ClipPrediction:
        """Align a clip's queries to the previous clips, and accumulate its class logits.

        Args:
            prediction: for a clip; with an `overlap`, it begins with frames of the previous clip.

        Returns:
            The prediction for the clip's new frames.
        """
        context = prediction.mask_logits[:, : self._num_context]
        prediction = prediction._replace(mask_logits=prediction.mask_logits[:, self._num_context :])
        identity = self._identity(prediction)
        if (order := self._order(identity, prediction, context)) is not None:
            prediction, identity = prediction.reorder(order), identity[order]
        logits = prediction.class_logits.float()
        self._logit_sum = logits if self._logit_sum is None else self._logit_sum + logits
        self._previous = identity
        self.num_clips += 1
        self._num_context = min(self._settings.overlap, prediction.mask_logits.shape[1])
        if self._settings.by == 'mask_iou':
            last = prediction.mask_logits[:, -self._num_context :]
            self._last_masks = binary_masks(last, self._settings.masks_compete)
        return prediction

    def _identity(self, prediction: ClipPrediction) -> Tensor:
        if self._settings.by == 'mask_embeddings':
            assert prediction.mask_embeddings is not None
            return prediction.mask_embeddings
        return prediction.queries if self._settings.by == 'queries' else prediction.identity

    def _order(
        self, identity: Tensor, prediction: ClipPrediction, context: Tensor
    ) -> Tensor | None:
        if self._memory is not None:
            return self._memory.match(identity, prediction)
        if self._previous is None:
            return None
        if self._last_masks is None:
            return match_queries(self._previous, identity)
        before = self._last_masks.flatten(1).float()
        now = binary_masks(context, self._settings.masks_compete).flatten(1).float()
        both = before @ now.T
        iou = both / (before.sum(1)[:, None] + now.sum(1) - both).clamp(min=1)
        # Empty masks have no IoU: fall back to identities.
        return match_by_similarity(iou + 1e-3 * cosine_similarity(self._previous, identity))

    def add(self, clip: ClipPrediction) -> list[LinkedClip]:
        """Add the next clip of a stream and return it; it is final immediately."""
        return [LinkedClip(self.link(clip).mask_logits, self.class_logits)]

    def finish(self) -> list[LinkedClip]:
        """Return no clips, because none are pending."""
        return []

    @property
    def class_logits(self) -> Tensor:
        """Class logits averaged over the clips so far, (Q, N + 1)."""
        if self._logit_sum is None:
            raise RuntimeError('no clip was linked yet')
        return self._logit_sum / self.num_clips


class OverlappingClips:
    """Encode the clips of one video, each preceded by the last frames of the previous clip.

    Args:
        encode: maps clips (B, T, 3, H, W) to predictions.
        overlap: number of these frames.
    """

    def __init__(self, encode: Callable[[Tensor], list[ClipPrediction]], overlap: int) -> None:
        self._encode = encode
        self._overlap = overlap
        self._context: Tensor | None = None

    def __call__(self, clips: Tensor) -> list[ClipPrediction]:
        """Encode the next clips (B, T, 3, H, W) of the video, in order."""
        predictions = []
        for clip in clips.split(1):
            frames = clip if self._context is None else torch.cat([self._context, clip], dim=1)
            predictions += self._encode(frames)
            self._context = clip[:, -self._overlap :]
        return predictions
