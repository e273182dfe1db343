"""Tests of folded batch norms compared with the original network."""

import pytest
import torch
from mmdet.registry import MODELS

from axialvs.models.fused_copy import FusedCopy


def random_resnet() -> torch.nn.Module:
    """Return a small bottleneck ResNet in eval mode with random running statistics."""
    torch.manual_seed(0)
    net = MODELS.build(
        dict(type='mmdet.ResNet', depth=50, base_channels=8, norm_cfg=dict(type='BN'))
    )
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1)
            torch.nn.init.normal_(module.bias)
    net.eval()
    return net


@pytest.fixture
def net():
    return random_resnet()


FRAMES = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def assert_equal_outputs(one, other):
    for a, b in zip(one(FRAMES), other(FRAMES), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))


def test_folded_network_has_equal_outputs(net):
    before = {name: x.clone() for name, x in net.state_dict().items()}
    with torch.no_grad():
        folded = FusedCopy().of(net)
    assert folded is not net
    assert not any(isinstance(x, torch.nn.BatchNorm2d) for x in folded.modules())
    assert_equal_outputs(folded, net)
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@torch.no_grad()
def test_folded_once_and_again_after_changes(net):
    form = FusedCopy()
    first = form.of(net)
    assert form.of(net) is first
    net.load_state_dict({name: x * 0.9 for name, x in net.state_dict().items()})
    assert form.of(net) is not first
    assert_equal_outputs(form.of(net), net)
    second = form.of(net)
    net.bn1.running_mean.add_(1)  # a running statistic only
    assert form.of(net) is not second
    assert_equal_outputs(form.of(net), net)


def test_network_is_not_folded_if_unsupported(net):
    form = FusedCopy()
    assert form.of(net) is net  # gradients
    with torch.no_grad():
        net.train()
        assert form.of(net) is net
        linear = torch.nn.Linear(2, 2).eval()
        assert form.of(linear) is linear
