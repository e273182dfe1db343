"""Load panoptic labels: from an image of segment ids to a mask per segment."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from axialvs.datasets.annotations.panomasks import category_of_value, read_values
from axialvs.datasets.annotations.panoptic import VOID, read_ids
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.segment_masks import SegmentMasks, number_segments

_MAX_NAMED = 5


@TRANSFORMS.register_module()
class LoadPanopticLabels(BaseTransform):
    """Load the segments of one frame: things by id, stuff merged by class, without void.

    Reads `panoptic_path`, `is_panomask` (a PNG of VIPSeg's `panomasks`, else ids in RGB),
    `segment_labels`, `crowds`, `thing_labels` and the frame's size. `segment_labels` has the label
    of each segment of the video by its id, or of each category for a panomask. Adds `gt_masks` (a
    `SegmentMasks` of the n visible segments), `gt_bboxes`, `gt_bboxes_labels`, `gt_instances_ids`,
    the same for a segment in all frames, and `gt_ignore_flags` (crowds); `FilterEmptyInstances`
    adds `gt_is_thing`.
    """

    def transform(self, results: dict) -> dict:
        """Load the labels.

        Raises:
            FileNotFoundError: if the PNG is missing.
            AnnotationError: if it is not readable, of a different size, or has unlisted segments.
        """
        path = results['panoptic_path']
        place = f'{path}: video {results["video_id"]}, frame {results["frame_id"]}'
        ids = read_values(path) if results['is_panomask'] else read_ids(path)
        size = (results['height'], results['width'])
        if ids.shape != size:
            raise AnnotationError(
                f'{place}: has (height, width) {ids.shape}, but the video has {size}; write masks '
                'at the size of the images.'
            )
        distinct, places = number_segments(ids)
        labels = _labels_of_values(distinct.tolist(), results, place)
        segments = _united(labels, results)
        kept = sorted(set(segments.values()))
        label_of = {segments[value]: label for value, label in labels.items()}
        number_of = {identifier: number for number, identifier in enumerate(kept, start=1)}
        numbers = [number_of.get(segments.get(value), 0) for value in distinct.tolist()]
        masks = np.array(numbers, dtype=np.uint16)[places]
        results['gt_masks'] = SegmentMasks(masks, np.arange(1, len(kept) + 1))
        results['gt_bboxes'] = results['gt_masks'].get_bboxes('hbox')
        results['gt_bboxes_labels'] = np.array([label_of[i] for i in kept], dtype=np.int64)
        results['gt_instances_ids'] = np.array(kept, dtype=np.int64)
        results['gt_ignore_flags'] = np.isin(kept, list(results['crowds']))
        return results


def _labels_of_values(values: list[int], results: dict, place: str) -> dict[int, int]:
    """Return the label of each pixel value except void."""
    key_of = category_of_value if results['is_panomask'] else int
    labels = {v: results['segment_labels'].get(key_of(v)) for v in values if v != VOID}
    unknown = [value for value, label in labels.items() if label is None]
    if unknown:
        remedy = (
            'is categories_file the one of this dataset?'
            if results['is_panomask']
            else 'JSON and PNGs must come from the same conversion.'
        )
        raise AnnotationError(
            f'{place}: has pixels of segments {", ".join(map(str, unknown[:_MAX_NAMED]))}, which '
            f'the annotation file does not list; {remedy}'
        )
    return labels


def _united(labels: dict[int, int], results: dict) -> dict[int, int]:
    """Return the segment id of each pixel value; for stuff, the smallest id of its class."""
    if results['is_panomask']:  # these have one value per stuff class
        return {value: value for value in labels}
    kept_apart = {
        identifier
        for identifier, label in results['segment_labels'].items()
        if label in results['thing_labels'] or identifier in results['crowds']
    }
    stuff: dict[int, int] = {}
    for identifier in sorted(set(results['segment_labels']) - kept_apart):
        stuff.setdefault(results['segment_labels'][identifier], identifier)
    return {v: v if v in kept_apart else stuff[label] for v, label in labels.items()}
