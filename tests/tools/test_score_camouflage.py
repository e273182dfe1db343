"""Scores of camouflaged objects for a model with the true masks and one with random masks."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import score_camouflage as tool
import torch

from axialvs.datasets.moving_shapes import get_level
from axialvs.datasets.moving_shapes.camouflage import camouflaged_frames
from axialvs.structures import ClipPrediction

LEVEL = replace(get_level('camouflage', (96, 64), 3), num_objects=(1, 1))
CLIPS = 20


class _Model:
    data_preprocessor = SimpleNamespace(mean=0.0, std=1.0)

    def __init__(self, knows):
        self.knows, self.index = knows, 0

    def predict_clip(self, clip):
        rng = np.random.default_rng([tool.SEED, self.index])
        frames, masks = camouflaged_frames(LEVEL, 0.0, rng)
        self.index += 1
        assert (clip == torch.from_numpy(frames).permute(0, 3, 1, 2)).all()
        truth = torch.from_numpy(masks[0])[:, ::4, ::4] * 8.0 - 4.0
        guess = torch.randn(truth.shape, generator=torch.Generator().manual_seed(self.index))
        masks = torch.stack([guess, truth if self.knows else guess])
        return ClipPrediction(torch.tensor([[-5.0, 5.0], [5.0, -5.0]]), masks, torch.zeros(2, 1))


def test_true_and_random_masks():
    known = tool.score(_Model(True), LEVEL, 0.0, CLIPS)
    assert [known[x] for x in ('IoU', 'AP of pixels', 'middle frame')] == ['100.0'] * 3
    guessed = tool.score(_Model(False), LEVEL, 0.0, CLIPS)
    share = float(guessed['share of the object'])
    assert float(guessed['AP of pixels']) == pytest.approx(share, abs=1)
    assert float(guessed['IoU']) < 10
