"""What a segmenter costs at one clip length and size, and for a whole video."""

import torch
from torch import nn

from axialvs.profiling.flops import count_flops
from axialvs.profiling.memory import peak_extra_bytes
from axialvs.profiling.training_step import training_step
from axialvs.structures import ImageShapes

GIGA = 1e9
MIB = 2**20


def clip_costs(model: nn.Module, num_frames: int, height: int, width: int, train: bool) -> dict:
    """GFLOPs, parameters and peak memory on one clip of noise.

    Args:
        model: a segmenter in evaluation mode, and so it is left.
        num_frames: T.
        height, width: of the padded frames.
        train: whether a training step is measured too.

    Returns:
        `frames`, `size`, `gflops_defined`, `gflops_executed`, `parameters` (millions),
        `forward_mib` and, on request, `training_mib`.
    """
    device = next(model.parameters()).device
    frames = torch.randn(num_frames, 3, height, width, device=device)

    def forward() -> None:
        model.predict_clip(frames)

    costs = work_of_clip(model, num_frames, height, width)
    costs['forward_mib'] = peak_extra_bytes(forward, device) / MIB
    if train:
        costs['training_mib'] = peak_extra_bytes(lambda: training_step(model, frames), device) / MIB
        model.zero_grad(set_to_none=True)
    return costs


def work_of_clip(model: nn.Module, num_frames: int, height: int, width: int) -> dict:
    """`frames`, `size`, `gflops_defined`, `gflops_executed` and `parameters` of `clip_costs`."""
    device = next(model.parameters()).device
    frames = torch.zeros(num_frames, 3, height, width, device=device)
    flops = count_flops(model, lambda: model.predict_clip(frames))
    return {
        'frames': num_frames,
        'size': f'{height}x{width}',
        'gflops_defined': flops.defined / GIGA,
        'gflops_executed': flops.executed / GIGA,
        'parameters': sum(x.numel() for x in model.parameters()) / 1e6,
    }


def segment_noise(model: nn.Module, num_frames: int, height: int, width: int) -> None:
    """Segments a video of noise clip by clip, frames that exist one clip at a time, to its tracks.

    Args:
        model: a segmenter in evaluation mode; its first mode is what runs.
        num_frames: L.
        height, width: of the padded frames and of the masks.
    """
    device = next(model.parameters()).device
    mode = model.modes[0]
    geometry = ImageShapes(*((height, width),) * 3)
    tracker = model.tracker(mode)
    video = tracker.video()
    try:
        for start in range(0, num_frames, model.clip_length):
            clip = torch.randn(1, model.clip_length, 3, height, width, device=device)
            (segmented,) = tracker.encode(clip)
            video.add(segmented, geometry, min(model.clip_length, num_frames - start))
        video.finish()
    finally:
        video.close()


def video_costs(model: nn.Module, num_frames: int, height: int, width: int) -> dict:
    """`video_frames`, `size` and `peak_mib` of `segment_noise`, torch's tensors only."""
    device = next(model.parameters()).device
    peak = peak_extra_bytes(lambda: segment_noise(model, num_frames, height, width), device)
    return {'video_frames': num_frames, 'size': f'{height}x{width}', 'peak_mib': peak / MIB}
