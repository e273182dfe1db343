"""Match queries to the ground-truth tubes of a clip, once for all decoder layers."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.logging import MessageHub
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from axialvs.models.matching import NonFiniteCostError

_EPS = 1e-5


class ClipTargets(NamedTuple):
    """Ground truth of one clip or video; pixels outside of all masks are void."""

    labels: Tensor  # (n,) long, below N
    masks: Tensor  # (n, T, H, W) bool, disjoint, at the resolution of the mask logits


class TubeOverlap(NamedTuple):
    """Overlap of the predicted tubes of one clip with its ground truth."""

    similarity: Tensor  # (Q, n) soft dice without void pixels
    void_share: Tensor  # (Q,) fraction of each predicted tube on void pixels


class MatchedClip(NamedTuple):
    """Training targets of one clip; m = min(n, Q) queries have a ground-truth tube."""

    queries: Tensor  # (m,) matched queries, ascending
    masks: Tensor  # (m, T * H * W) bool, their ground-truth tubes
    areas: Tensor  # (m,) number of pixels of each
    segments: Tensor  # (T * H * W,) row of `masks` at each pixel, -1 for void
    classes: Tensor  # (Q,) label of the matched tube, N for an unmatched query
    class_weights: Tensor  # (Q,) similarity to the matched tube; `void_share` if unmatched
    mask_weights: Tensor  # (m,) probability of the matched tube's class


@torch.no_grad()
def measure_overlap(mask_logits: Tensor, masks: Tensor) -> TubeOverlap:
    """Compare predicted with ground-truth tubes, frame by frame to limit memory.

    Args:
        mask_logits: (Q, T, H, W), before the softmax over Q.
        masks: (n, T, H, W) bool.
    """
    intersection = mask_logits.new_zeros(len(mask_logits), len(masks))
    labeled_area = mask_logits.new_zeros(len(mask_logits))
    area = mask_logits.new_zeros(len(mask_logits))
    for frame_logits, frame_masks in zip(mask_logits.unbind(1), masks.unbind(1), strict=True):
        probabilities = frame_logits.flatten(1).softmax(0)
        frame_masks = frame_masks.flatten(1)
        intersection += probabilities @ frame_masks.to(probabilities).T
        labeled_area += probabilities @ frame_masks.any(0).to(probabilities)
        area += probabilities.sum(1)
    sizes = (labeled_area[:, None] + masks.flatten(1).sum(1)) / 2
    return TubeOverlap(intersection / (sizes + _EPS), (area - labeled_area) / (area + _EPS))


@torch.no_grad()
def match_clips(
    class_logits: Tensor, mask_logits: Tensor, targets: Sequence[ClipTargets]
) -> list[MatchedClip]:
    """Assign tubes to queries by tube similarity times class probability (PQ-style, MaX-DeepLab).

    All costs of a batch are transferred at once: one device synchronization.

    Args:
        class_logits: (B, Q, N + 1) of the final layer, the last column is void.
        mask_logits: (B, Q, T, H, W) of the final layer.
        targets: ground truth of each of the B clips. If a clip has more tubes than queries,
            unmatched tubes become void.

    Raises:
        NonFiniteCostError: if a cost is NaN or infinite.
    """
    overlaps = [
        measure_overlap(logits, clip.masks)
        for logits, clip in zip(mask_logits.float(), targets, strict=True)
    ]
    probabilities = [
        logits.softmax(-1)[:, clip.labels]
        for logits, clip in zip(class_logits.float(), targets, strict=True)
    ]
    costs = [
        -overlap.similarity * probability
        for overlap, probability in zip(overlaps, probabilities, strict=True)
    ]
    assignments = _assign(costs)
    num_classes = class_logits.shape[-1] - 1
    return [
        _matched_clip(clip, overlap, probability, *assignment, num_classes)
        for clip, overlap, probability, assignment in zip(
            targets, overlaps, probabilities, assignments, strict=True
        )
    ]


def _assign(costs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return queries (m,) and tubes (m,) of the optimal assignment for each cost matrix (Q, n)."""
    on_host = torch.cat([cost.flatten() for cost in costs]).cpu()
    if not torch.isfinite(on_host).all():
        iteration = MessageHub.get_current_instance().get_info('iter', 'unknown')
        raise NonFiniteCostError(
            f'the matching cost is not finite at iteration {iteration}: training diverged. '
            'Lower the learning rate, use bfloat16 or float32 instead of float16, or resume from '
            'an older checkpoint.'
        )
    assignments = []
    for cost, part in zip(costs, on_host.split([cost.numel() for cost in costs]), strict=True):
        rows, columns = linear_sum_assignment(part.view(cost.shape).numpy())
        device = cost.device
        assignments.append(
            (torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device))
        )
    return assignments


def _matched_clip(
    clip: ClipTargets,
    overlap: TubeOverlap,
    probability: Tensor,
    queries: Tensor,
    tubes: Tensor,
    num_classes: int,
) -> MatchedClip:
    masks = clip.masks.flatten(1)[tubes]
    segments = masks.new_full(masks.shape[1:], -1, dtype=torch.long)
    for row, mask in enumerate(masks):
        segments.masked_fill_(mask, row)
    classes = clip.labels.new_full((len(probability),), num_classes)
    classes[queries] = clip.labels[tubes]
    class_weights = overlap.void_share.clone()
    class_weights[queries] = overlap.similarity[queries, tubes]
    return MatchedClip(
        queries,
        masks,
        masks.sum(1),
        segments,
        classes,
        class_weights.clamp(min=_EPS),
        probability[queries, tubes].clamp(min=_EPS),
    )
