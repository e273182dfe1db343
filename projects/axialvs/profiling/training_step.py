"""A training step on a clip of noise, for what it costs."""

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import nn

_OBJECTS = 4


def training_step(model: nn.Module, frames: torch.Tensor) -> None:
    """One forward and backward pass, without the optimiser's step.

    Args:
        model: a segmenter; its mode is as before afterwards, and its gradients are there.
        frames: (T, 3, H, W), of one clip, or of a video for an offline model.
    """
    was_training = model.training
    model.train()
    try:
        losses = model.loss(frames[None], [_objects(*frames.shape[::2], frames.shape[-1])])
        sum(losses.values()).backward()
    finally:
        model.train(was_training)


def _objects(length: int, height: int, width: int) -> TrackDataSample:
    """Boxes that stay where they are."""
    masks = np.zeros((_OBJECTS, height, width), dtype=np.uint8)
    for i, mask in enumerate(masks):
        mask[i * height // _OBJECTS : (i + 1) * height // _OBJECTS, : width // 2] = 1
    objects = InstanceData(
        labels=torch.zeros(_OBJECTS, dtype=torch.long),
        instances_ids=torch.arange(_OBJECTS),
        masks=BitmapMasks(masks, height, width),
    )
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(gt_instances=objects) for _ in range(length)]
    return sample
