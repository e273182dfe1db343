"""Hand-made training clips in the format of the data preprocessor's output."""

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

# {instance id: (label, (H, W) bool mask)} of one frame
FrameObjects = dict[int, tuple[int, np.ndarray]]


def training_clip(frames: list[FrameObjects], height: int, width: int) -> TrackDataSample:
    """Return a clip whose frames show the given objects."""
    samples = []
    for t, objects in enumerate(frames):
        masks = np.array([mask for _, mask in objects.values()], np.uint8)
        sample = DetDataSample(metainfo={'img_path': f'video/{t:05d}.jpg'})
        sample.gt_instances = InstanceData(
            labels=torch.tensor([label for label, _ in objects.values()], dtype=torch.long),
            instances_ids=torch.tensor(list(objects), dtype=torch.long),
            masks=BitmapMasks(masks.reshape(-1, height, width), height, width),
        )
        samples.append(sample)
    clip = TrackDataSample()
    clip.video_data_samples = samples
    return clip


def moving_boxes(num_objects: int, num_frames: int, height: int, width: int) -> TrackDataSample:
    """Return boxes of classes 0, 1, ... that move right; the last one is missing in frame 1."""
    frames = []
    for t in range(num_frames):
        objects = {}
        for i in range(num_objects):
            if num_frames > 1 and t == 1 and i == num_objects - 1:
                continue
            mask = np.zeros((height, width), bool)
            mask[4 + 12 * i : 20 + 12 * i, 3 * t + 8 * i : 3 * t + 8 * i + 24] = True
            objects[10 * i + 3] = (i, mask)
        frames.append(objects)
    return training_clip(frames, height, width)
