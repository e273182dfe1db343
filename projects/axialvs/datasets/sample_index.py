"""The index that the training sampler hands to the data set."""

from typing import NamedTuple


class SampleIndex(NamedTuple):
    """Which clip to make, and where in the run it stands.

    Attributes:
        position: Of the sample in the run's global order, over all ranks, from 0.
        index: Of the clip in the data set.
        seed: Of the run; with the position it decides every random draw of the sample.
    """

    position: int
    index: int
    seed: int
