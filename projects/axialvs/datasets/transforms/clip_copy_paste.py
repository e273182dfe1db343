"""Copy-paste augmentation for panoptic clips."""

import random
from collections.abc import Collection, Iterable

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from numpy.typing import NDArray

from axialvs.datasets.segment_masks import SegmentMasks
from axialvs.utils.errors import AxialVSError


@TRANSFORMS.register_module()
class ClipCopyPaste(BaseTransform):
    """Paste segments of a second clip, the same ones in all frames, over a clip.

    All things and a random part of the stuff of the second clip's first frame are pasted (Video-
    kMaX's training on VIPSeg). Pasted segments get ids that the clip does not have; only stuff of a
    class that the clip has too joins the clip's segment. Pixels stay inside of the clip's frames.

    Works on whole clips (lists of T entries). The second clip is `results['mix_results'][0]`, as
    in mmdet's transforms of several images.

    Args:
        prob: probability of pasting.
        random_place: whether the second clip is placed randomly; otherwise at the top left corner,
            as in the release.

    Raises:
        AxialVSError: if the probability is out of range.
    """

    def __init__(self, prob: float = 1.0, random_place: bool = True) -> None:
        if not 0 <= prob <= 1:
            raise AxialVSError(f'prob={prob}: must lie between 0 and 1.')
        self.prob = prob
        self.random_place = random_place

    def transform(self, results: dict) -> dict:
        """Paste with probability `prob`.

        Args:
            results: `img` (H, W, 3), `gt_masks` (`SegmentMasks`), `gt_bboxes_labels`,
                `gt_instances_ids`, `gt_is_thing` and `gt_ignore_flags` of each frame, and
                `mix_results`.

        Raises:
            AxialVSError: if the clips have different numbers of frames.
        """
        (other,) = results.pop('mix_results')
        if random.random() >= self.prob:
            return results
        if len(other['img']) != len(results['img']):
            raise AxialVSError(
                f'cannot paste a clip of {len(other["img"])} frames into one of '
                f'{len(results["img"])} frames; load both with one clip_length'
            )
        offset = (0, 0)
        if self.random_place:
            sizes = zip(results['img'][0].shape[:2], other['img'][0].shape[:2], strict=True)
            offset = tuple(random.randint(*sorted((0, room - size))) for room, size in sizes)
        return paste_segments(results, other, _draw_segments(other), offset)


def _draw_segments(clip: dict) -> set[int]:
    """Select all things and random stuff of the first frame, without crowds; return their ids."""
    usable = ~clip['gt_ignore_flags'][0]
    things = clip['gt_instances_ids'][0][usable & clip['gt_is_thing'][0]].tolist()
    stuff = clip['gt_instances_ids'][0][usable & ~clip['gt_is_thing'][0]].tolist()
    return {*things, *random.sample(stuff, random.randint(0, len(stuff)))}


def paste_segments(
    clip: dict, other: dict, chosen: Collection[int], offset: tuple[int, int]
) -> dict:
    """Paste segments of one clip over another.

    Args:
        clip: target clip, changed in place; keys as in `ClipCopyPaste.transform`.
        other: source clip.
        chosen: ids of the segments of `other`.
        offset: y and x of the source's top left corner in `clip`; may be negative.

    Returns:
        `clip`.
    """
    new_ids = _new_ids(clip, other, chosen)
    for t, (image, below, above) in enumerate(
        zip(clip['img'], clip['gt_masks'], other['gt_masks'], strict=True)
    ):
        size = below.segments.shape
        segments = _on_canvas(above.segments, size, offset)
        ids, numbers = clip['gt_instances_ids'][t].tolist(), below.numbers.tolist()
        next_number = 1 + max(int(below.segments.max()), *numbers, 0)
        new_numbers = np.zeros(1 + max(int(segments.max()), *above.numbers.tolist(), 0), np.uint16)
        added = []
        for row, identifier in enumerate(other['gt_instances_ids'][t].tolist()):
            if identifier not in chosen:
                continue
            if new_ids[identifier] not in ids:
                ids.append(new_ids[identifier])
                numbers.append(next_number)
                next_number += 1
                added.append(row)
            new_numbers[above.numbers[row]] = numbers[ids.index(new_ids[identifier])]
        pasted = new_numbers[segments]
        covered = pasted > 0
        image = image.copy()
        image[covered] = _on_canvas(other['img'][t], size, offset)[covered]
        masks = SegmentMasks(np.where(covered, pasted, below.segments), np.array(numbers, np.int64))
        clip['img'][t] = image
        clip['gt_masks'][t] = masks
        clip['gt_bboxes'][t] = masks.get_bboxes('hbox')
        clip['gt_instances_ids'][t] = np.array(ids, dtype=np.int64)
        for key in ('gt_bboxes_labels', 'gt_is_thing', 'gt_ignore_flags'):
            clip[key][t] = np.concatenate((clip[key][t], other[key][t][added]))
    return clip


def _new_ids(clip: dict, other: dict, chosen: Collection[int]) -> dict[int, int]:
    """Map the chosen segments of `other` to new ids in `clip`."""
    stuff = {
        label: identifier
        for identifier, label, is_thing, ignored in _segments(clip)
        if not (is_thing or ignored)
    }
    next_id = 1 + max((identifier for identifier, *_ in _segments(clip)), default=0)
    new_ids: dict[int, int] = {}
    for identifier, label, is_thing, _ in _segments(other):
        if identifier not in chosen or identifier in new_ids:
            continue
        if is_thing or label not in stuff:
            new_ids[identifier] = next_id
            if not is_thing:
                stuff[label] = next_id
            next_id += 1
        else:
            new_ids[identifier] = stuff[label]
    return new_ids


def _segments(clip: dict) -> Iterable[tuple[int, int, bool, bool]]:
    """Collect id, label, is_thing and ignore flag of the segments of all frames."""
    keys = ('gt_instances_ids', 'gt_bboxes_labels', 'gt_is_thing', 'gt_ignore_flags')
    for frame in zip(*(clip[key] for key in keys), strict=True):
        yield from zip(*(values.tolist() for values in frame), strict=True)


def _on_canvas(plane: NDArray, size: tuple[int, int], offset: tuple[int, int]) -> NDArray:
    """Place an array (h, w, ...) at an offset in an empty (H, W, ...), cropped at the border."""
    canvas = np.zeros((*size, *plane.shape[2:]), dtype=plane.dtype)
    target, source = [], []
    for start, length, room in zip(offset, plane.shape[:2], size, strict=True):
        first, last = max(start, 0), min(start + length, room)
        target.append(slice(first, max(last, first)))
        source.append(slice(first - start, max(last, first) - start))
    canvas[tuple(target)] = plane[tuple(source)]
    return canvas
