"""Training losses of Video-kMaX, for the clip head and for the cross-clip head."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from axialvs.models.video_kmax.matching import ClipTargets, MatchedClip, match_clips
from axialvs.models.video_kmax.pixel_sampling import gather_pixels, sample_pixels

# Weight of real classes against void in the class loss (MaX-DeepLab); also scales the dice loss.
_POSITIVE_WEIGHT = 0.75


class LossSettings(NamedTuple):
    """Loss weights and pixel sampling; defaults for VIPSeg with ResNet-50.

    A loss of weight 0 is not computed.
    """

    class_weight: float = 4.0
    mask_weight: float = 0.1
    dice_weight: float = 5.0
    contrast_weight: float = 1.0
    semantic_weight: float = 1.0
    contrast_pixels: int = 4096
    contrast_area_exponent: float = 1.8
    contrast_temperature: float = 0.3
    semantic_pixels: int = 4096
    semantic_area_exponent: float = 2.4


class KMaXOutputs(NamedTuple):
    """Outputs of the network in training: one entry per decoder layer, the final layer last.

    Maps of earlier layers may be smaller than the targets; the losses resize them.
    """

    class_logits: Sequence[Tensor]  # of (B, Q, N + 1), the last column is void
    mask_logits: Sequence[Tensor]  # of (B, Q, T, h, w)
    pixel_features: Sequence[Tensor] | None = None  # of (B, C, T, h, w), unit length
    semantic_logits: Tensor | None = None  # (B, N + 1, T, h, w)


class SamplingNoise(NamedTuple):
    """Uniform random numbers in (0, 1) that determine the sampled pixels."""

    contrast: Sequence[Tensor]  # of (B, T * H * W), one per layer
    semantic: Tensor  # (B, T * H * W)


class MaskLosses(NamedTuple):
    """Losses of the mask logits of one clip."""

    mask: Tensor
    dice: Tensor


def kmax_losses(
    outputs: KMaXOutputs,
    targets: Sequence[ClipTargets],
    settings: LossSettings,
    noise: SamplingNoise | None = None,
) -> dict[str, Tensor]:
    """Compute the weighted losses of all layers, with the matching of the final one.

    Every loss is averaged over the B clips. Call with autocast disabled.

    Args:
        outputs: outputs of all layers.
        targets: ground truth of each clip.
        settings: weights and sampling.
        noise: determines the sampled pixels; random if None.

    Returns:
        `loss_cls`, `loss_mask`, `loss_dice`, `loss_contrast`, `loss_semantic` of the final layer;
        all but the last also of earlier layers, as `d0.loss_cls` ...

    Raises:
        NonFiniteCostError: if the matching cost is NaN or infinite.
    """
    clips = match_clips(outputs.class_logits[-1], outputs.mask_logits[-1], targets)
    height, width = targets[0].masks.shape[-2:]
    size = height, width
    final = len(outputs.class_logits) - 1
    losses: dict[str, Tensor] = {}

    def add(layer: int, name: str, weight: float, terms: Iterable[Tensor]) -> None:
        if weight:
            key = f'd{layer}.loss_{name}' if layer < final else f'loss_{name}'
            losses[key] = weight * torch.stack(list(terms)).mean()

    for layer in range(final + 1):
        class_terms = map(class_loss, outputs.class_logits[layer].unbind(), clips)
        add(layer, 'cls', settings.class_weight, class_terms)
        if settings.mask_weight or settings.dice_weight:
            mask_terms = [
                mask_losses(logits, clip, size)
                for logits, clip in zip(outputs.mask_logits[layer].unbind(), clips, strict=True)
            ]
            add(layer, 'mask', settings.mask_weight, [terms.mask for terms in mask_terms])
            add(layer, 'dice', settings.dice_weight, [terms.dice for terms in mask_terms])
        if settings.contrast_weight:
            assert outputs.pixel_features is not None
            features = outputs.pixel_features[layer].unbind()
            uniform = noise.contrast[layer] if noise else [None] * len(clips)
            contrast_terms = [
                pixel_contrast_loss(*inputs, size, settings)
                for inputs in zip(features, clips, uniform, strict=True)
            ]
            add(layer, 'contrast', settings.contrast_weight, contrast_terms)
    if settings.semantic_weight:
        assert outputs.semantic_logits is not None
        uniform = noise.semantic if noise else [None] * len(clips)
        semantic_terms = [
            semantic_loss(*inputs, size, settings)
            for inputs in zip(outputs.semantic_logits.unbind(), clips, uniform, strict=True)
        ]
        add(final, 'semantic', settings.semantic_weight, semantic_terms)
    return losses


def class_loss(class_logits: Tensor, clip: MatchedClip) -> Tensor:
    """Compute PQ-style cross-entropy, weighted by mask similarity (MaX-DeepLab Sec. 3.2).

    Args:
        class_logits: (Q, N + 1).
        clip: targets and weights.
    """
    losses = F.cross_entropy(class_logits.float(), clip.classes, reduction='none')
    is_void = clip.classes == class_logits.shape[-1] - 1
    balance = torch.where(is_void, 1 - _POSITIVE_WEIGHT, _POSITIVE_WEIGHT)
    return _mean_of_nonzero(losses * balance * clip.class_weights)


def mask_losses(mask_logits: Tensor, clip: MatchedClip, size: tuple[int, int]) -> MaskLosses:
    """Compute mask-ID cross-entropy over queries, and dice weighted by class probability.

    Args:
        mask_logits: (Q, T, h, w).
        clip: targets and weights.
        size: (H, W) of the targets.
    """
    if tuple(mask_logits.shape[-2:]) == size:
        return _mask_losses(mask_logits, clip)
    # Resized logits of all layers would be the largest activations of a training step; they are
    # recomputed in backward.
    return checkpoint(
        lambda logits: _mask_losses(_resize(logits, size), clip),
        mask_logits,
        use_reentrant=False,
        preserve_rng_state=False,
    )


def _resize(mask_logits: Tensor, size: tuple[int, int]) -> Tensor:
    aligned = size[1] % 2 == 1
    return F.interpolate(mask_logits.float(), size, mode='bilinear', align_corners=aligned)


def _mask_losses(mask_logits: Tensor, clip: MatchedClip) -> MaskLosses:
    # Only matched rows of the softmax over queries are needed.
    logits = mask_logits.flatten(1).float()
    normalizer = logits.logsumexp(0)
    log_probabilities = logits[clip.queries] - normalizer
    cross_entropy = -(log_probabilities * clip.masks).sum(0)

    probabilities = log_probabilities.exp()
    intersection = (probabilities * clip.masks).sum(1)
    predicted = probabilities @ (clip.segments >= 0).to(probabilities)
    dice = 1 - (2 * intersection + 1) / (predicted + clip.areas + 1)
    dice = (dice * clip.mask_weights).sum() * _POSITIVE_WEIGHT / len(mask_logits)
    return MaskLosses(_mean_of_nonzero(cross_entropy), dice)


def pixel_contrast_loss(
    pixel_features: Tensor,
    clip: MatchedClip,
    uniform: Tensor | None,
    size: tuple[int, int],
    settings: LossSettings,
) -> Tensor:
    """Pull sampled pixels of a segment together, push those of other segments and void away.

    Args:
        pixel_features: (C, T, h, w).
        clip: targets.
        uniform: (T * H * W,) random numbers in (0, 1), or None.
        size: (H, W) of the targets.
        settings: temperature and sampling.
    """
    pixels = sample_pixels(
        clip.segments,
        clip.areas,
        settings.contrast_pixels,
        settings.contrast_area_exponent,
        uniform,
    )
    # The (K, K) similarities are recomputed in backward.
    return checkpoint(
        _contrast_loss,
        gather_pixels(pixel_features, pixels, size),
        clip.masks[:, pixels],
        settings.contrast_temperature,
        use_reentrant=False,
        preserve_rng_state=False,
    )


def _contrast_loss(features: Tensor, masks: Tensor, temperature: float) -> Tensor:
    """Compute cross-entropy of features (K, C) with positives in the same mask (n, K) bool."""
    # The mean similarity to all pixels of a segment is the similarity to their mean.
    masks = masks.to(features)
    means = masks @ features / masks.sum(1, keepdim=True).clamp(min=1)
    same_segment = (features * (masks.T @ means)).sum(1)
    labeled = masks.sum(0)
    losses = (features @ features.T / temperature).logsumexp(1) - same_segment / temperature
    return _mean_of_nonzero(losses * labeled)


def semantic_loss(
    semantic_logits: Tensor,
    clip: MatchedClip,
    uniform: Tensor | None,
    size: tuple[int, int],
    settings: LossSettings,
) -> Tensor:
    """Compute cross-entropy of the auxiliary semantic head on sampled pixels.

    Args:
        semantic_logits: (N + 1, T, h, w).
        clip: targets.
        uniform: (T * H * W,) random numbers in (0, 1), or None.
        size: (H, W) of the targets.
        settings: sampling.
    """
    pixels = sample_pixels(
        clip.segments,
        clip.areas,
        settings.semantic_pixels,
        settings.semantic_area_exponent,
        uniform,
    )
    labels = F.pad(clip.classes[clip.queries], (0, 1), value=-1)  # the last entry is void
    losses = F.cross_entropy(
        gather_pixels(semantic_logits, pixels, size),
        labels[clip.segments[pixels]],
        ignore_index=-1,
        reduction='none',
    )
    return _mean_of_nonzero(losses)


def _mean_of_nonzero(losses: Tensor) -> Tensor:
    """Average over nonzero entries (void pixels are exactly 0); 0 if there are none."""
    return losses.sum() / (losses != 0).sum().clamp(min=1)
