"""One training step of the full near-online network matches the release's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from kmax_release import R50, build_head, fill
from mmdet.registry import MODELS
from torch import nn

from axialvs.checkpoints.release_names import rename_kmax_tensor
from axialvs.models.video_kmax import matching
from axialvs.models.video_kmax.matching import ClipTargets

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'
WEIGHTS = dict(
    class_weight=4.0, mask_weight=0.1, dice_weight=5.0, contrast_weight=1.0, semantic_weight=1.0
)
OUR_LOSSES = dict(
    ce='cls', mask='mask', dice='dice', pixel_insdis='contrast', aux_semantic='semantic'
)


@pytest.fixture(scope='module')
def model():
    """Return the network in training mode with dropout off and all pixels sampled."""
    everything = 2 * 17 * 25
    head = build_head(
        within_clip=dict(temporal_layer=dict(num_layers=2, dropout=0.0)),
        semantic_head={},
        decoder_layer=dict(drop_path=0.0),
        loss=dict(WEIGHTS, contrast_pixels=everything, semantic_pixels=everything),
    )
    head.semantic_head.aspp.dropout.p = 0.0
    model = nn.ModuleDict({'backbone': MODELS.build(R50), 'panoptic_head': head})
    fill(model, '')
    # Otherwise a rounding in one assignment would change all later layers.
    for name, parameter in model.named_parameters():
        if name.endswith(('kmeans_out.norm.weight', 'mask_norm.weight')):
            parameter.data *= 0.01
    return model.train()


def our_loss(name: str) -> str:
    """Map a name such as `loss_ce_0` to `d0.loss_cls`."""
    stem, _, layer = name.removeprefix('loss_').rpartition('_')
    if layer.isdigit():
        return f'd{layer}.loss_{OUR_LOSSES[stem]}'
    return f'loss_{OUR_LOSSES[name.removeprefix("loss_")]}'


@pytest.fixture
def assign_like(monkeypatch):
    """Fix the matching to that of the given outputs.

    The masks of this step are so uniform that some costs differ by less than the effect of
    a rounding in the first convolution.
    """

    def fix(class_logits, mask_logits, targets):
        assigned = []
        assign = matching._assign

        def record(costs):
            assigned.append(assign(costs))
            return assigned[0]

        monkeypatch.setattr(matching, '_assign', record)
        matching.match_clips(class_logits, mask_logits, targets)
        monkeypatch.setattr(matching, '_assign', lambda costs: assigned[0])

    return fix


def test_training_step(model, assign_like):
    with np.load(FOLDER / 'kmax_training_step.npz') as arrays:
        data = {
            name: x if x.dtype.kind == 'U' else torch.from_numpy(x) for name, x in arrays.items()
        }
    targets = [ClipTargets(data[f'gt_labels_{b}'], data[f'gt_masks_{b}'].bool()) for b in range(2)]
    assign_like(data['class_logits'], data['mask_logits'].float(), targets)
    feats = model['backbone'](data['frames'].float().flatten(0, 1))
    losses = model['panoptic_head'].loss(feats, 2, targets)

    expected = dict(zip(map(our_loss, data['loss_names']), data['losses'].tolist(), strict=True))
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        weight = WEIGHTS[f'{name.rpartition("_")[2].replace("cls", "class")}_weight']
        assert losses[name].item() == pytest.approx(weight * value, rel=0.02, abs=1e-4 * weight)
    total = sum(losses.values())
    assert total.item() == pytest.approx(data['total'].item(), rel=1e-4)

    total.backward()
    gradients = {name: x.grad for name, x in model.named_parameters()}
    norms = dict(zip(map(rename_kmax_tensor, data['grad_names']), data['grad_norms'], strict=True))
    assert gradients.keys() == norms.keys()
    close = [
        abs(gradients[name].norm().item() - norm) <= 0.02 * norm for name, norm in norms.items()
    ]
    assert sum(close) >= 0.85 * len(close)

    buffers = dict(model['panoptic_head'].predictor.mask_norm.named_buffers())
    for name in ('running_mean', 'running_var'):
        expected = data[f'{name}__pixel_space_mask_batch_norm']
        torch.testing.assert_close(buffers[name], expected, rtol=1e-5, atol=1e-5)
