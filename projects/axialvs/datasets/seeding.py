"""Random states from numbers: of a sample in a run's order, of an iteration of a run."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_STATE_WORDS = 8


@contextmanager
def random_state(seed: int, position: int) -> Iterator[None]:
    """Seeds Python's, numpy's and torch's (CPU) global generators, and restores them after.

    Transforms of mmcv and mmdet draw from the global generators. Inside this context their draws
    depend on the two numbers alone: not on the number of loader workers, nor on what was drawn
    before, so a run that is resumed goes on as if it had not been interrupted.

    Args:
        seed: Of the run, 0 or more.
        position: Of the sample in the run's global order, 0 or more.
    """
    words = np.random.SeedSequence([seed, position]).generate_state(_STATE_WORDS)
    outer_python = random.getstate()
    outer_numpy = np.random.get_state()  # noqa: NPY002 - the transforms draw from it
    outer_torch = torch.get_rng_state()
    random.seed(words.tobytes())
    np.random.seed(words)  # noqa: NPY002
    torch.default_generator.manual_seed(int(words[0]) << 32 | int(words[1]))
    try:
        yield
    finally:
        random.setstate(outer_python)
        np.random.set_state(outer_numpy)  # noqa: NPY002
        torch.set_rng_state(outer_torch)


def seed_iteration(seed: int, iteration: int, rank: int) -> None:
    """Seeds Python's, numpy's and torch's generators, those of all devices, for one iteration.

    What the network and its losses draw then depends on these numbers alone, so a run that is
    resumed needs no stored state. The streams are others than those of `random_state`.

    Args:
        seed: Of the run, 0 or more.
        iteration: Iterations that the run has done before.
        rank: Of the process.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(iteration, rank))
    words = sequence.generate_state(_STATE_WORDS)
    random.seed(words.tobytes())
    np.random.seed(words)  # noqa: NPY002 - transforms and assigners draw from it
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))
