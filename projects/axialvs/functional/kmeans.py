"""Cluster update of k-means cross-attention (kMaX-DeepLab, Yu et al., 2022, Eq. 5-6)."""

import torch
from torch import Tensor


def sum_by_cluster(values: Tensor, mask_logits: Tensor) -> Tensor:
    """Sum the values of the pixels that are assigned to each cluster.

    A pixel is assigned to the cluster with its largest logit. The assignment gets no gradient. Sums
    are computed in float32 or above.

    Args:
        values: (B, C, P).
        mask_logits: (B, Q, P).

    Returns:
        (B, C, Q).
    """
    batch, num_clusters, _ = mask_logits.shape
    assignment = mask_logits.argmax(dim=1)
    first = torch.arange(batch, device=assignment.device)[:, None] * num_clusters
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    rows = values.transpose(1, 2).flatten(0, 1)
    sums = rows.new_zeros(batch * num_clusters, rows.shape[-1])
    sums = sums.index_add(0, (assignment + first).flatten(), rows)
    return sums.unflatten(0, (batch, num_clusters)).transpose(1, 2)
