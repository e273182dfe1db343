"""Query matching between neighboring clips (Axial-VS Sec. 3.2, clip-level inference)."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from axialvs.utils.errors import AxialVSError


class NonFiniteQueriesError(AxialVSError):
    """Clip queries hold NaN or infinity, so they cannot be matched."""


@torch.no_grad()
def match_queries(target: Tensor, current: Tensor) -> Tensor:
    """Match two clips' queries by Hungarian assignment with cost 1 - cosine similarity.

    Runs in float32 even under autocast.

    Args:
        target: identities (Q, C) of the previous clip, already aligned.
        current: identities (Q, C) of this clip.

    Returns:
        Indices (Q,) such that `current[indices]` is aligned to `target`.

    Raises:
        NonFiniteQueriesError: if an identity is not finite.
    """
    return match_by_similarity(cosine_similarity(target, current))


def cosine_similarity(target: Tensor, current: Tensor) -> Tensor:
    """Compute cosine similarities (Q, Q) of features (Q, C), in float32 even under autocast."""
    with torch.autocast(current.device.type, enabled=False):
        return F.normalize(target.float(), dim=-1) @ F.normalize(current.float(), dim=-1).T


def match_by_similarity(similarity: Tensor) -> Tensor:
    """Match queries to maximize the sum of similarities (Q, Q); see `match_queries`."""
    if not torch.isfinite(similarity).all():
        raise NonFiniteQueriesError(
            'clip queries are not finite: training diverged or the weights are corrupted'
        )
    _, columns = linear_sum_assignment((1 - similarity).cpu().numpy())
    return torch.from_numpy(columns).to(similarity.device)


def align_clips(identities: Tensor) -> Tensor:
    """Align the clips of videos by a chain of matchings (Axial-VS Sec. 3.3).

    Each clip is matched to the aligned previous clip.

    Args:
        identities: (B, K, Q, C), each clip in its own order.

    Returns:
        Orders (B, K, Q) for `gather_queries`.
    """
    orders = torch.empty(identities.shape[:3], dtype=torch.long, device=identities.device)
    for video, video_orders in zip(identities, orders, strict=True):
        video_orders[0] = torch.arange(identities.shape[2])
        target = video[0]
        for clip, order in zip(video[1:], video_orders[1:], strict=True):
            order.copy_(match_queries(target, clip))
            target = clip[order]
    return orders


def gather_queries(queries: Tensor, orders: Tensor) -> Tensor:
    """Permute the queries (B, K, Q, C) of each clip by orders (B, K, Q)."""
    return torch.take_along_dim(queries, orders.unsqueeze(-1), dim=2)
