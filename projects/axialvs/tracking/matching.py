"""Linking neighbouring clips by their queries (Axial-VS Sec. 3.2, clip-level inference)."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from axialvs.utils.errors import AxialVSError


@torch.no_grad()
def match_queries(target: Tensor, current: Tensor) -> Tensor:
    """Finds the order of one clip's queries that follows another clip's.

    The cost of a pair is one minus the cosine of their angle; the assignment is the cheapest one-
    to-one. Angles are taken in float32, under autocast too.

    Args:
        target: queries (Q, C) of the clip before, already in order.
        current: queries (Q, C) of this clip.

    Returns:
        Indices (Q,): `current[indices]` follows `target`.

    Raises:
        ValueError: if a query is not finite.
    """
    with torch.autocast(current.device.type, enabled=False):
        similarity = F.normalize(target.float(), dim=-1) @ F.normalize(current.float(), dim=-1).T
    if not torch.isfinite(similarity).all():
        raise AxialVSError(
            'clip queries are not finite: the network diverged or its weights are damaged'
        )
    _, columns = linear_sum_assignment((1 - similarity).cpu().numpy())
    return torch.from_numpy(columns).to(current.device)


def align_clips(queries: Tensor) -> Tensor:
    """Aligns by a chain of matchings, each clip to the aligned one before it (Axial-VS Sec. 3.3).

    Args:
        queries: (B, K, Q, C), each clip's in its own order.

    Returns:
        (B, K, Q, C): row q describes the same object in all clips of a video.
    """
    videos = []
    for clips in queries:
        aligned = [clips[0]]
        for clip in clips[1:]:
            aligned.append(clip[match_queries(aligned[-1], clip)])
        videos.append(torch.stack(aligned))
    return torch.stack(videos)
