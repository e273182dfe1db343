"""Collate the objects of a training clip from the annotations of its frames."""

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from axialvs.datasets.segment_masks import SegmentMasks
from axialvs.utils.errors import AxialVSError


def collate_clip_instances(
    sample: TrackDataSample, device: torch.device, num_classes: int, stride: int = 1
) -> InstanceData:
    """Collate one entry per object of a clip, ordered by instance id.

    Args:
        sample: T frames; their `gt_instances` have `labels`, `instances_ids` and padded `masks`.
        device: device of the result.
        num_classes: N; labels must be less than N, which is reserved for no-object.
        stride: keep every `stride`-th row and column of the masks, starting with the first.

    Returns:
        `labels` (n,) and `masks` (n, T, H, W) uint8, zero in frames without the object.

    Raises:
        AxialVSError: if the class of an object changes between frames or is not less than N.
    """
    labels: dict[int, int] = {}
    for frame in sample:
        instances = frame.gt_instances
        for object_id, label in zip(
            instances.instances_ids.tolist(), instances.labels.tolist(), strict=True
        ):
            if label >= num_classes:
                raise AxialVSError(
                    f'{_name(frame)}: instance {object_id} has class {label}, counted from 0, but '
                    f'the model of the config has {num_classes} classes; set its num_things_classes'
                )
            if labels.setdefault(object_id, label) != label:
                raise AxialVSError(
                    f'{_name(frame)}: instance {object_id} has class {label}, but '
                    f'{labels[object_id]} in a different frame; one object has one class'
                )
    order = {object_id: row for row, object_id in enumerate(sorted(labels))}
    first = sample[0].gt_instances.masks
    size = (-(-first.height // stride), -(-first.width // stride))
    masks = torch.zeros(len(order), len(sample), *size, dtype=torch.uint8)
    for t, frame in enumerate(sample):
        rows = [order[object_id] for object_id in frame.gt_instances.instances_ids.tolist()]
        if rows:
            masks[rows, t] = torch.from_numpy(_masks_at_stride(frame.gt_instances.masks, stride))
    sorted_labels = torch.tensor([labels[object_id] for object_id in order], dtype=torch.long)
    return InstanceData(labels=sorted_labels.to(device), masks=masks.to(device))


def _masks_at_stride(masks: BitmapMasks, stride: int) -> NDArray[np.uint8]:
    if isinstance(masks, SegmentMasks):  # decoded lazily
        return masks.at_stride(stride)
    return masks.masks[:, ::stride, ::stride]


def _name(frame: DetDataSample) -> str:
    return frame.metainfo.get('img_path', 'a frame')
