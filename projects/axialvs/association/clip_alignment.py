"""Brings the queries of all clips of a video into the order of the first clip's."""

import torch
from torch import Tensor

from axialvs.association.query_matching import match_queries


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
