"""Gathers the objects of a training clip from its frames' annotations."""

import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData


def gather_objects(sample: TrackDataSample, device: torch.device) -> InstanceData:
    """One entry for every object that occurs in any frame of a clip, in the order of instance ids.

    Args:
        sample: T frames with `gt_instances` of `labels`, `instances_ids` and padded bitmap `masks`.
        device: where the tensors go.

    Returns:
        `labels` (n,) and `masks` (n, T, H, W) uint8, zero where an object is absent.

    Raises:
        ValueError: if an object's class changes between frames.
    """
    labels: dict[int, int] = {}
    for frame in sample:
        instances = frame.gt_instances
        for object_id, label in zip(
            instances.instances_ids.tolist(), instances.labels.tolist(), strict=True
        ):
            if labels.setdefault(object_id, label) != label:
                raise ValueError(
                    f'{frame.metainfo.get("img_path", "a frame")}: instance {object_id} has class '
                    f'{label}, but {labels[object_id]} in another frame; one object has one class'
                )
    order = {object_id: row for row, object_id in enumerate(sorted(labels))}
    height, width = sample[0].gt_instances.masks.height, sample[0].gt_instances.masks.width
    masks = torch.zeros(len(order), len(sample), height, width, dtype=torch.uint8)
    for t, frame in enumerate(sample):
        rows = [order[object_id] for object_id in frame.gt_instances.instances_ids.tolist()]
        if rows:
            masks[rows, t] = torch.from_numpy(frame.gt_instances.masks.masks)
    sorted_labels = torch.tensor([labels[object_id] for object_id in order], dtype=torch.long)
    return InstanceData(labels=sorted_labels.to(device), masks=masks.to(device))
