"""Random state that depends on the run's seed and a position, not on workers or processes."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch

_STATE_WORDS = 8


class SampleIndex(NamedTuple):
    """Index from a training sampler for a dataset.

    Attributes:
        position: of the sample in the run's global order, over all ranks, from 0.
        clip: index of the clip in the dataset.
        seed: of the run; with the position it determines every random draw of the sample.
    """

    position: int
    clip: int
    seed: int


@contextmanager
def random_state(seed: int, position: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's (CPU) global generators, and restore them afterward.

    Transforms of mmcv and mmdet draw from the global generators. Inside this context, their draws
    only depend on the two numbers, not on the number of workers or on earlier draws, so a resumed
    run has the same draws as an uninterrupted one.

    Args:
        seed: of the run, 0 or more.
        position: of the sample in the run's global order, 0 or more.
    """
    words = np.random.SeedSequence([seed, position]).generate_state(_STATE_WORDS)
    outer_python = random.getstate()
    outer_numpy = np.random.get_state()  # noqa: NPY002 - the transforms draw from it
    outer_torch = torch.get_rng_state()
    _seed_global_generators(words)
    torch.default_generator.manual_seed(_as_torch_seed(words))
    try:
        yield
    finally:
        random.setstate(outer_python)
        np.random.set_state(outer_numpy)  # noqa: NPY002
        torch.set_rng_state(outer_torch)


def seed_iteration(seed: int, iteration: int, rank: int) -> None:
    """Seed Python's, numpy's and torch's generators, on all devices, for one iteration.

    The draws of the model and its losses then only depend on these numbers, so a resumed run needs
    no stored generator state. The streams differ from those of `random_state`.

    Args:
        seed: seed of the run, 0 or more.
        iteration: number of completed iterations.
        rank: rank of the process.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(iteration, rank))
    words = sequence.generate_state(_STATE_WORDS)
    _seed_global_generators(words)
    torch.manual_seed(_as_torch_seed(words))


def _seed_global_generators(words: np.ndarray) -> None:
    random.seed(words.tobytes())
    np.random.seed(words)  # noqa: NPY002 - transforms and assigners draw from it


def _as_torch_seed(words: np.ndarray) -> int:
    return int(words[0]) << 32 | int(words[1])
