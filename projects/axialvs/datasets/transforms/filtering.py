"""Removal of the instances that resize and crop left without a pixel, frame by frame."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FilterEmptyInstances(BaseTransform):
    """Keep an instance in the frames where its mask has pixels, and update its boxes.

    Works on a whole clip (lists of T entries), after `TransformBroadcaster`. An instance that is
    removed from some frames keeps its id and label in the others. Panoptic clips get
    `gt_is_thing`.
    """

    def transform(self, results: dict) -> dict | None:
        """Filter the clip; None if no training target is left, so that it is redrawn."""
        num_targets = 0
        for frame, masks in enumerate(results['gt_masks']):
            kept = np.flatnonzero(masks.areas)
            masks = masks[kept]
            results['gt_masks'][frame] = masks
            results['gt_bboxes'][frame] = masks.get_bboxes('hbox').numpy()
            for key in ('gt_bboxes_labels', 'gt_instances_ids', 'gt_ignore_flags'):
                results[key][frame] = results[key][frame][kept]
            num_targets += int((~results['gt_ignore_flags'][frame]).sum())
        if 'thing_labels' in results:
            labels = zip(results['gt_bboxes_labels'], results['thing_labels'], strict=True)
            results['gt_is_thing'] = [np.isin(of_frame, things) for of_frame, things in labels]
        return results if num_targets else None
