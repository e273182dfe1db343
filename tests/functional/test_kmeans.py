"""The cluster update against its definition with one-hot assignments."""

import torch
import torch.nn.functional as F

from axialvs.functional.kmeans import sum_by_cluster


def test_equals_the_one_hot_product():
    values = torch.randn(3, 4, 50, requires_grad=True)
    mask_logits = torch.randn(3, 6, 50, requires_grad=True)
    upstream = torch.randn(3, 4, 6)
    ours = sum_by_cluster(values, mask_logits)
    eager = values @ F.one_hot(mask_logits.argmax(dim=1), 6).float()
    torch.testing.assert_close(ours, eager)
    gradient, none = torch.autograd.grad(ours, (values, mask_logits), upstream, allow_unused=True)
    assert none is None
    torch.testing.assert_close(gradient, torch.autograd.grad(eager, values, upstream)[0])


def test_empty_clusters_are_zero():
    mask_logits = torch.zeros(1, 3, 5)
    mask_logits[:, 1] = 1
    values = torch.ones(1, 2, 5)
    assert sum_by_cluster(values, mask_logits).tolist() == [[[0, 5, 0], [0, 5, 0]]]


def test_half_values_are_summed_in_full_precision():
    values = torch.full((1, 1, 5000), 1.0, dtype=torch.half)
    sums = sum_by_cluster(values, torch.zeros(1, 1, 5000, dtype=torch.half))
    assert sums.dtype == torch.float32
    assert sums.item() == 5000
