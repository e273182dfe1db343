"""Inference of models on one clip, time in turns and memory apart from one another."""

import statistics
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from axialvs.profiling.memory import held_bytes, peak_extra_bytes
from axialvs.profiling.timing import median_ratio, time_in_turns

MIB = 2**20
# Calls before anything is measured: compilation, then what kernels choose and allocate once.
_WARM_UP = 3


def compare_on_clip(
    builders: Mapping[str, Callable[[], nn.Module]],
    models: dict[str, nn.Module],
    frames: torch.Tensor,
    rounds: int,
) -> list[dict]:
    """Time and memory of every model, and their ratios to the first's.

    Args:
        builders: what makes each model, by name.
        models: an empty dict, into which the models are put.
        frames: (T, 3, H, W), normalised and padded, on the device of the models.
        rounds: timed calls of each.

    Returns:
        For each model `config`, `ms` a clip, `frames_a_second`, `time_ratio`; `extra_mib`, the
        most that a call allocates, and `memory_ratio`; `all_mib`, that and what the model holds all
        the time, and `all_memory_ratio`.
    """
    device = frames.device
    held, extra = {}, {}
    for name, build in builders.items():

        def make(name=name, build=build) -> None:
            models[name] = build()
            for _ in range(_WARM_UP):
                models[name].predict_clip(frames)

        held[name] = held_bytes(make, device) / MIB
        extra[name] = peak_extra_bytes(partial(models[name].predict_clip, frames), device) / MIB
    runs = {name: partial(model.predict_clip, frames) for name, model in models.items()}
    seconds = time_in_turns(runs, rounds, warm_up=1, device=device)
    first = next(iter(models))
    rows = []
    for name in models:
        median = statistics.median(seconds[name])
        rows.append(
            {
                'config': name,
                'ms': median * 1e3,
                'frames_a_second': len(frames) / median,
                'time_ratio': median_ratio(seconds[name], seconds[first]),
                'extra_mib': extra[name],
                'memory_ratio': extra[name] / extra[first],
                'all_mib': extra[name] + held[name],
                'all_memory_ratio': (extra[name] + held[name]) / (extra[first] + held[first]),
            }
        )
    return rows
