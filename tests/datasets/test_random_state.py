"""Tests of the random state of one sample."""

import random

import numpy as np
import pytest
import torch

from axialvs.datasets.seeding import random_state


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def draw_at(seed: int, position: int) -> tuple[float, float, float]:
    with random_state(seed, position):
        return draw()


def test_draws_depend_on_seed_and_position_only():
    first = draw_at(3, 11)
    draw()
    assert draw_at(3, 11) == first
    others = [draw_at(3, 12), draw_at(4, 11), draw_at(11, 3), draw_at(0, 0)]
    for generator in range(3):
        assert len({draws[generator] for draws in [first, *others]}) == 5


def test_global_state_is_unaffected():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = [draw(), draw()]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    found = [draw()]
    with random_state(0, 5):
        draw()
    with pytest.raises(RuntimeError), random_state(0, 6):
        raise RuntimeError
    found.append(draw())
    assert found == expected
