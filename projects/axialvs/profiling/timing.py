"""Wall-clock time of functions, compared fairly: in turns, so that a slow minute hits them all."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def synchronise(device: torch.device | str = 'cpu') -> None:
    """Waits until the device has done what it was given."""
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize(device)


def time_once(function: Callable[[], object], device: torch.device | str = 'cpu') -> float:
    """Seconds of one call, with what it left running on the device."""
    synchronise(device)
    start = time.perf_counter()
    function()
    synchronise(device)
    return time.perf_counter() - start


def time_in_turns(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 1,
    device: torch.device | str = 'cpu',
) -> dict[str, list[float]]:
    """Calls all functions once a round, in turns.

    Args:
        functions: what to call, by name.
        rounds: timed calls of each.
        warm_up: calls of each before that.
        device: where they run.

    Returns:
        Seconds of every timed call, by name.

    Raises:
        ValueError: if there is nothing to time.
    """
    if rounds < 1:
        raise ValueError(f'rounds is {rounds}: at least 1')
    for function in functions.values():
        for _ in range(warm_up):
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name].append(time_once(function, device))
    return seconds


def median_ratio(slow: list[float], fast: list[float]) -> float:
    """How many times faster: the median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))
