"""A script that compiles the fused kernels without a GPU and prints their launches."""

import json
from types import SimpleNamespace

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.runtime import driver

from axialvs.functional.trajectory_launches import Launcher, OverFrames, Projections

CAPABILITY = 89
HEADS, HEAD_SIZE = 4, 64


def print_launch(source, metadata):
    """Return a launcher of a compiled kernel that prints its launch, without Triton's hooks."""

    def launch(*args) -> None:
        shown = [list(x.shape) if torch.is_tensor(x) else x for x in (*args[:4], *args[9:])]
        print(json.dumps([source.fn.__name__, metadata.shared, *shown]))

    return launch


def main() -> None:
    """Launch kernels twice in float32, where they take the most shared memory."""
    CUDABackend.make_cubin = lambda *_: b''  # as slow as everything before it
    utils = SimpleNamespace(
        get_device_properties=lambda device: {'max_shared_mem': 2**20},
        load_binary=lambda *_: ('module', 'function', 0, 0, 1024),
    )
    gpu = SimpleNamespace(
        get_current_target=lambda: GPUTarget('cuda', CAPABILITY, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda device: 0,
        launcher_cls=print_launch,
        utils=utils,
    )
    driver.set_active(gpu)
    channels = HEADS * HEAD_SIZE
    x = torch.zeros(1, 2 * 5, channels)
    weights = torch.zeros(3 * channels, channels).split([channels, 2 * channels])
    projections = Projections(weights[0], None, weights[1], None)
    time_weights, grad_scores, means = torch.zeros(3, 1, HEADS, 2, 10)
    launcher = Launcher(x, 2, HEADS, 1.0)
    for _ in range(2):
        points = launcher.trace(x, x, x, None)
        over_frames = OverFrames(x, x, time_weights, grad_scores)
        launcher.points_backward(points, projections, x, over_frames, means)


if __name__ == '__main__':
    main()
