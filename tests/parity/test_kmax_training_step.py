"""One training step of the whole near-online R50 network: losses and gradients of the release."""

from pathlib import Path

import numpy as np
import pytest
import torch
from kmax_release import R50, build_head, fill
from mmdet.registry import MODELS
from torch import nn

from axialvs.checkpoints.release_names_kmax import rename_kmax_tensor
from axialvs.models.video_kmax.losses import LossSettings, kmax_losses
from axialvs.models.video_kmax.matching import ClipTargets

FIXTURE = Path(__file__).parents[1] / 'data' / 'parity' / 'kmax_training_step.npz'
LOSSES = dict(ce='cls', mask='mask', dice='dice', pixel_insdis='contrast', aux_semantic='semantic')


class Step(nn.Module):
    """The network in training mode, but for dropout and drop path.

    The fixture scales the norms behind k-means assignments and of mask logits by 0.01: else one
    arg-max that a rounding changes would change everything behind it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = fill(MODELS.build(R50), 'backbone.')
        self.panoptic_head = fill(
            build_head(
                within_clip=dict(trajectory=dict(num_layers=2, dropout=0.0)),
                semantic_head={},
                decoder_layer=dict(drop_path=0.0),
            ),
            'panoptic_head.',
        )
        self.train()
        self.panoptic_head.semantic_head.aspp.dropout.eval()
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith(('.kmeans_out.norm.weight', '.mask_norm.weight')):
                    parameter.mul_(0.01)


def our_name(name: str) -> str:
    """`loss_ce_3` -> `d3.loss_cls`."""
    stem, _, layer = name.removeprefix('loss_').rpartition('_')
    if layer.isdigit():
        return f'd{layer}.loss_{LOSSES[stem]}'
    return f'loss_{LOSSES[name.removeprefix("loss_")]}'


def test_step():
    with np.load(FIXTURE) as arrays:
        data = dict(arrays)
    frames = torch.from_numpy(data['frames']).float()
    targets = [
        ClipTargets(
            torch.from_numpy(data[f'gt_labels_{b}']), torch.from_numpy(data[f'gt_masks_{b}']).bool()
        )
        for b in range(len(frames))
    ]
    network = Step()
    decoding = network.panoptic_head(network.backbone(frames.flatten(0, 1)), frames.shape[1])
    losses = kmax_losses(decoding, targets, LossSettings(1, 1, 1, 1, 1))
    expected = {
        our_name(name): loss for name, loss in zip(data['loss_names'], data['losses'], strict=True)
    }
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        expected, rel=0.02, abs=1e-4
    )

    weights = LossSettings()._asdict()
    total = sum(
        weights[f'{name.rpartition("_")[2].replace("cls", "class")}_weight'] * loss
        for name, loss in losses.items()
    )
    assert total.item() == pytest.approx(float(data['total']), rel=1e-4)
    total.backward()
    parameters = dict(network.named_parameters())
    found = np.array(
        [parameters[rename_kmax_tensor(name)].grad.norm().item() for name in data['grad_names']]
    )
    # Noise of 1e-6 on the frames moves pixels to other clusters and a third of the norms by 2 %.
    # In front of norms, gradients of biases are zero but for rounding.
    close = np.abs(found - data['grad_norms']) <= 0.02 * data['grad_norms'] + 1e-4
    assert len(found) == len(parameters)
    assert close.mean() >= 0.85
    assert network.panoptic_head.predictor.mask_norm.running_mean.item() == pytest.approx(
        data['running_mean__pixel_space_mask_batch_norm'].item(), rel=1e-4
    )
