"""From mask logits to run-length codes at the file's size: exact forms, and one that is not."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from axialvs.postprocess.masks import postprocess_masks, resize_mask_logits
from axialvs.profiling.timing import median_ratio, time_in_turns
from axialvs.structures import ImageShapes
from axialvs.utils.rle import encode_masks

Codes = list[dict | None]


class FinishingShape(NamedTuple):
    """Masks of one frame."""

    masks: int
    shapes: ImageShapes


SHAPES = (
    FinishingShape(100, ImageShapes((384, 640), (360, 640), (720, 1280))),
    FinishingShape(20, ImageShapes((384, 640), (360, 640), (720, 1280))),
)
SMALL_SHAPES = (FinishingShape(3, ImageShapes((32, 64), (32, 60), (48, 90))),)
# Mean diameter of an object, in frame heights.
_SIZE = 0.25


def _logits(shape: FinishingShape) -> Tensor:
    """Ellipses with soft edges, at a quarter of the padded size."""
    generator = torch.Generator().manual_seed(0)
    height, width = (x // 4 for x in shape.shapes.padded)
    centre, spread = (torch.rand(2, shape.masks, 1, 1, generator=generator) for _ in range(2))
    y = torch.arange(height).view(1, -1, 1) - centre[0] * height
    x = torch.arange(width).view(1, 1, -1) - centre[1] * width
    radii = (0.5 + spread) * _SIZE / 2 * height
    return 10 * (1 - (y / radii[0]).square() - (x / radii[1]).square())


def _literal(logits: Tensor, shapes: ImageShapes) -> Codes:
    """As published: both resizings of whole frames, threshold, quality, code."""
    resized = resize_mask_logits(logits.unsqueeze(1), shapes).squeeze(1)
    [mask[mask > 0].sigmoid().mean() for mask in resized]
    return encode_masks((resized > 0).numpy())


def _exact(logits: Tensor, shapes: ImageShapes) -> Codes:
    return postprocess_masks(logits, shapes).rles


def _early(logits: Tensor, shapes: ImageShapes) -> Codes:
    """Thresholded at the network's size; then masks, not logits, are brought to the file's."""
    height, width = shapes.resized
    resized = F.interpolate(logits.unsqueeze(0), shapes.padded, mode='bilinear')[0]
    resized = resized[:, :height, :width]
    [mask[mask > 0].sigmoid().mean() for mask in resized]
    masks = F.interpolate((resized > 0).unsqueeze(0).byte(), shapes.original, mode='nearest')
    return encode_masks(masks[0].bool().numpy())


FORMS = {'literal': _literal, 'exact': _exact, 'early': _early}


def _mean_iou(codes: Codes, expected: Codes) -> float:
    pairs = [(a, b) for a, b in zip(codes, expected, strict=True) if a and b]
    return statistics.mean(float(coco_mask.iou([a], [b], [0])[0, 0]) for a, b in pairs)


def finishing_suite(shapes: Sequence[FinishingShape] = SHAPES, rounds: int = 7) -> Iterator[dict]:
    """Times three ways in turns: `literal`, `exact` (what runs) and `early`.

    `early` thresholds at the network's size and resizes masks instead of logits. It gives other
    masks, so nothing here uses it: the rows say whether it would be worth it.

    Args:
        shapes: number and sizes of masks.
        rounds: timed calls of each way.

    Yields:
        One row for each shape: `masks`, `shape` (the file's size), milliseconds of each,
        `speedup` of exact against literal, `early_speedup` of early against exact, and the mean
        IoU of masks with those of the literal way.
    """
    for shape in shapes:
        logits = _logits(shape)

        def runner(form: Callable, logits=logits, shape=shape) -> Callable[[], Codes]:
            return lambda: form(logits, shape.shapes)

        runs = {name: runner(form) for name, form in FORMS.items()}
        codes = {name: run() for name, run in runs.items()}
        seconds = time_in_turns(runs, rounds)
        yield {
            'masks': shape.masks,
            'shape': 'x'.join(map(str, shape.shapes.original)),
            **{f'{name}_ms': statistics.median(x) * 1e3 for name, x in seconds.items()},
            'speedup': median_ratio(seconds['literal'], seconds['exact']),
            'early_speedup': median_ratio(seconds['exact'], seconds['early']),
            'exact_iou': _mean_iou(codes['exact'], codes['literal']),
            'early_iou': _mean_iou(codes['early'], codes['literal']),
        }
