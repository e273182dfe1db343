"""Fuse query masks of a video into one panoptic segmentation, as Mask2Former does for an image."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axialvs.postprocess.finisher import LogitReader
from axialvs.postprocess.panoptic import (
    VOID,
    MergedVideo,
    frames_of,
    number_segments,
    paint,
    resized_logits,
    things_among,
)
from axialvs.structures import ImageShapes


class FusionThresholds(NamedTuple):
    """Thresholds of the fusion; defaults are those of Tube-Link on VIPSeg."""

    score: float = 0.8  # queries with a lower class probability are ignored
    overlap: float = 0.8  # minimum ratio of the pixels assigned to a tube to those of its mask
    pixel: float = 0.5  # minimum mask probability of the pixels of a mask

    def at_least(self, score: float) -> 'FusionThresholds':
        """Return a copy with a class threshold of at least this probability."""
        return self._replace(score=max(self.score, score))


def fuse_panoptic(
    class_logits: Tensor,
    read_logits: LogitReader,
    shapes: ImageShapes,
    thing_labels: Collection[int],
    thresholds: FusionThresholds,
) -> MergedVideo:
    """Assign each pixel to the query of highest class times mask probability (Mask2Former).

    Tubes with too few of their pixels are dropped, which leaves void. Kept tubes of one stuff class
    are united. Tube-Link fuses each frame separately; here, the overlap of a tube is that over all
    its frames.

    Args:
        class_logits: (Q, N + 1) of the whole video, the last column is no-object.
        read_logits: yields the mask logits; called twice.
        shapes: shapes of the frames.
        thing_labels: labels of thing classes.
        thresholds: thresholds of the fusion.
    """
    scores, labels = class_logits.float().cpu().softmax(-1).max(-1)
    is_object = labels < class_logits.shape[1] - 1
    queries = (is_object & (scores > thresholds.score)).nonzero().flatten()
    weights = scores[queries]
    won, area = torch.zeros(2, len(queries), dtype=torch.long).unbind()
    probability_sum = torch.zeros(len(queries), dtype=torch.float64)
    for frame in frames_of(read_logits(queries)) if len(queries) else ():
        for _, logits in resized_logits(frame, shapes):
            probabilities = logits.sigmoid()
            inside = probabilities >= thresholds.pixel
            won += (probabilities * weights).argmax(1).bincount(minlength=len(queries))
            area += inside.sum(0)
            probability_sum += (probabilities * inside).sum(0, dtype=torch.float64)

    is_kept = (won > 0) & (area > 0) & (won >= thresholds.overlap * area)
    tube_scores = weights * probability_sum / area.clamp(min=1)
    order = tube_scores.argsort(descending=True, stable=True)
    kept = order[is_kept[order]]
    segments, ids = number_segments(
        queries[kept], labels, things_among(labels, thing_labels), tube_scores[kept]
    )
    id_of = torch.full((len(queries),), VOID, dtype=torch.int32)
    id_of[kept] = ids

    def owners(logits: Tensor) -> Tensor:
        probabilities = logits.sigmoid()
        best = (probabilities * weights).argmax(1, keepdim=True)
        inside = probabilities.gather(1, best) >= thresholds.pixel
        return torch.where(inside, id_of[best], VOID).flatten()

    def frames() -> Iterator[NDArray[np.int32]]:
        return paint(read_logits(queries), shapes, owners if segments else None)

    return MergedVideo(segments, frames)
