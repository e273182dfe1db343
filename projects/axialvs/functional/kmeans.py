"""One k-means step of pixels and clusters (kMaX-DeepLab, Yu et al., 2022, Eq. 5-6)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sum_by_cluster(values: Tensor, mask_logits: Tensor) -> Tensor:
    """Sums the values of the pixels that are assigned to each cluster; equals the eager twin.

    A pixel goes to the cluster of its largest logit. The gradient reaches the values and not the
    assignment. Sums are taken in float32 at least.

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


def sum_by_cluster_eager(values: Tensor, mask_logits: Tensor) -> Tensor:
    """The step as a product with the one-hot assignment (B, Q, P), for tests.

    Arguments and result as in `sum_by_cluster`.
    """
    one_hot = F.one_hot(mask_logits.argmax(dim=1), mask_logits.shape[1]).float()  # B, P, Q
    return values.float() @ one_hot
