"""Loading of panoptic labels: from an image of segment ids to a mask per segment."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import VOID, read_ids
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.vipseg_ids import category_of_value, read_values


@TRANSFORMS.register_module()
class LoadPanopticLabels(BaseTransform):
    """Load the segments of one frame; pixels outside of all masks are void.

    Reads `panoptic_path`, `segment_labels`, `crowds` and the frame's size. Adds `gt_masks` of the
    n visible segments, `gt_bboxes`, `gt_bboxes_labels`, `gt_instances_ids` and `gt_ignore_flags`
    (crowds); `FilterEmptyInstances` adds `gt_is_thing`.
    """

    def transform(self, results: dict) -> dict:
        """Load the labels.

        Raises:
            FileNotFoundError: the PNG is missing.
            AnnotationError: it is not readable, of another size, or has unlisted segments.
        """
        path, crowds = results['panoptic_path'], results['crowds']
        if crowds is None:
            ids = read_values(path)
            labels = {
                value: results['segment_labels'].get(category_of_value(value))
                for value in np.unique(ids).tolist()
            }
        else:
            ids = read_ids(path)
            labels = results['segment_labels']
        size = (results['height'], results['width'])
        if ids.shape != size:
            raise AnnotationError(f'{path}: has (height, width) {ids.shape}, but its video {size}.')
        present = [i for i in np.unique(ids).tolist() if i != VOID]
        unknown = [i for i in present if labels.get(i) is None]
        if unknown:
            raise AnnotationError(
                f'{path}: has pixels of segment {unknown[0]}, which the annotation file does not '
                'list; JSON and PNGs must come from the same conversion.'
            )
        masks = _split(ids, present)
        results['gt_masks'] = BitmapMasks(masks, *size)
        results['gt_bboxes'] = results['gt_masks'].get_bboxes('hbox')
        results['gt_bboxes_labels'] = np.array([labels[i] for i in present], dtype=np.int64)
        results['gt_instances_ids'] = np.array(present, dtype=np.int64)
        results['gt_ignore_flags'] = np.isin(present, list(crowds or ()))
        return results


def _split(ids: NDArray, present: list[int]) -> NDArray[np.uint8]:
    """Return (n, H, W) masks."""
    masks = np.zeros((len(present), *ids.shape), dtype=np.uint8)
    for mask, identifier in zip(masks, present, strict=True):
        np.equal(ids, identifier, out=mask, casting='unsafe')
    return masks
