"""Read the parity fixtures: results of the public release for given inputs and weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'


@pytest.fixture
def fixture_data():
    """Read one fixture: arrays as tensors, single numbers as ints."""

    def read(name: str) -> dict:
        with np.load(FOLDER / f'{name}.npz') as arrays:
            return {
                key: int(array) if array.ndim == 0 else torch.from_numpy(array)
                for key, array in arrays.items()
            }

    return read


@pytest.fixture
def layer_shapes():
    """Return the shapes of a layer's tensors by their names in the release."""
    return json.loads((FOLDER / 'layer_parameters.json').read_text())
