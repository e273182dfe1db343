"""Collates the objects of a training clip from the annotations of its frames."""

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from axialvs.utils.errors import AxialVSError


def collate_clip_instances(
    sample: TrackDataSample, device: torch.device, num_classes: int
) -> InstanceData:
    """Collate one entry per object of a clip, ordered by instance id.

    Args:
        sample: T frames; their `gt_instances` have `labels`, `instances_ids` and padded `masks`.
        device: of the result.
        num_classes: N; labels must be below it (N is reserved for no-object).

    Returns:
        `labels` (n,) and `masks` (n, T, H, W) uint8, zero in frames without the object.

    Raises:
        AxialVSError: if the class of an object changes between frames or is not below N.
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
                    f'{labels[object_id]} in another frame; one object has one class'
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


def _name(frame: DetDataSample) -> str:
    return frame.metainfo.get('img_path', 'a frame')
