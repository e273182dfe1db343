"""Merge query masks of a video into one panoptic segmentation, exactly and in constant memory.

Because the probabilities over queries sum to 1, only a few can exceed the pixel threshold at a
pixel. The greedy merge only depends on the number of pixels of each *set* of confident queries: the
first pass counts sets, the merge runs on the counts, the second pass paints frame by frame.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from axialvs.postprocess.finisher import LogitReader
from axialvs.postprocess.masks import axis_resamplings
from axialvs.structures import ImageShapes

VOID = 0
_STRIPE_ELEMENTS = 2**21


class PanopticThresholds(NamedTuple):
    """Thresholds of the merge; defaults are those of near-online VIPSeg with ResNet-50."""

    pixel: float = 0.3  # minimum mask probability of confident pixels
    thing: float = 0.2  # minimum class probability of things
    stuff: float = 0.3
    overlap: float = 0.8  # minimum fraction of a tube's confident pixels that are still free

    def at_least(self, score: float) -> 'PanopticThresholds':
        """Return a copy with class thresholds of at least this probability."""
        return self._replace(thing=max(self.thing, score), stuff=max(self.stuff, score))


class PanopticSegment(NamedTuple):
    """A thing, or all pixels of one stuff class."""

    id: int  # from 1, in order of score
    label: int
    is_thing: bool
    score: float  # class probability times mean probability inside the mask
    query: int  # the best one if stuff is merged from several queries


@dataclass(frozen=True, slots=True)
class MergedVideo:
    """A merged video.

    Attributes:
        segments: best first.
        frames: yields the ids of the pixels of each frame, (H, W) int32 at the original size, 0 for
            void. Every call rereads the logits.
    """

    segments: list[PanopticSegment]
    frames: Callable[[], Iterator[NDArray[np.int32]]]


def merge_panoptic(
    class_logits: Tensor,
    read_logits: LogitReader,
    shapes: ImageShapes,
    thing_labels: Collection[int],
    thresholds: PanopticThresholds,
) -> MergedVideo:
    """Merge tubes greedily, best score first (Video-kMaX; an image is a video of one frame).

    A tube is kept if its class probability reaches the threshold and enough of its confident pixels
    are still free. Kept tubes of one stuff class are united.

    Args:
        class_logits: (Q, N + 1) of the whole video, the last column is void.
        read_logits: yields the mask logits; all yielded frames count for the scores.
        shapes: shapes of the frames.
        thing_labels: labels of thing classes.
        thresholds: thresholds of the merge.
    """
    scores, labels = class_logits.float().cpu().softmax(-1)[:, :-1].max(-1)
    is_thing = things_among(labels, thing_labels)
    minimum = torch.where(is_thing, thresholds.thing, thresholds.stuff)
    candidates = (scores >= minimum).nonzero().flatten()
    counts = _ConfidentPixels(len(candidates))
    queries = torch.arange(len(class_logits))
    for frame in frames_of(read_logits(queries)):
        for _, logits in resized_logits(frame, shapes):
            counts.add(logits.softmax(-1).index_select(1, candidates), thresholds.pixel)

    scores = scores[candidates].double() * counts.mean_probability()
    order = scores.argsort(descending=True, stable=True)
    kept = order[counts.select(order, thresholds.overlap)]
    segments, ids = number_segments(candidates[kept], labels, is_thing, scores[kept])

    def owners(logits: Tensor) -> Tensor:
        confident = logits.softmax(-1).index_select(1, candidates[kept]) > thresholds.pixel
        best = confident.to(torch.uint8).argmax(1)  # the first confident query
        return torch.where(confident.any(1), ids[best], VOID)

    def frames() -> Iterator[NDArray[np.int32]]:
        return paint(read_logits(queries), shapes, owners if segments else None)

    return MergedVideo(segments, frames)


def number_segments(
    queries: Tensor, labels: Tensor, is_thing: Tensor, scores: Tensor
) -> tuple[list[PanopticSegment], Tensor]:
    """Assign segment ids from 1; queries of one stuff class share an id.

    Args:
        queries: (n,) best first.
        labels: (Q,) of all queries.
        is_thing: (Q,) bool, of all queries.
        scores: (n,) of `queries`.

    Returns:
        The segments, and the id (n,) int32 of each query's segment.
    """
    segments: list[PanopticSegment] = []
    ids: list[int] = []
    stuff_ids: dict[int, int] = {}
    for query, score in zip(queries.tolist(), scores.tolist(), strict=True):
        label, thing = int(labels[query]), bool(is_thing[query])
        if label in stuff_ids:
            ids.append(stuff_ids[label])
            continue
        ids.append(len(segments) + 1)
        segments.append(PanopticSegment(ids[-1], label, thing, score, query))
        if not thing:
            stuff_ids[label] = ids[-1]
    return segments, torch.tensor(ids, dtype=torch.int32)


def things_among(labels: Tensor, thing_labels: Collection[int]) -> Tensor:
    """Return (n,) bool: whether each label is a thing class."""
    return torch.tensor([label in thing_labels for label in labels.tolist()], dtype=torch.bool)


def frames_of(clips: Iterator[Tensor]) -> Iterator[Tensor]:
    """Iterate over the frames (Q, H, W) of clips (Q, T, H, W)."""
    return (frame for clip in clips for frame in clip.unbind(1))


class _ConfidentPixels:
    """Pixel counts per set of confident queries."""

    def __init__(self, num_queries: int) -> None:
        self.area = torch.zeros(num_queries, dtype=torch.long)
        self._probability_sum = torch.zeros(num_queries, dtype=torch.float64)
        self._sets: Counter[bytes] = Counter()  # sets of two or more queries, as packed bits

    def add(self, probabilities: Tensor, threshold: float) -> None:
        """Add pixels (P, n)."""
        confident = probabilities > threshold
        self.area += confident.sum(0)
        self._probability_sum += (probabilities * confident).sum(0, dtype=torch.float64)
        shared = confident[confident.sum(1) > 1]
        if not len(shared):
            return
        bits = np.packbits(shared.numpy(), axis=1)
        packed, counts = np.unique(bits, axis=0, return_counts=True)
        for row, count in zip(packed, counts.tolist(), strict=True):
            self._sets[row.tobytes()] += count

    def mean_probability(self) -> Tensor:
        """Average over each query's confident pixels, (n,) float64; 0 if there are none."""
        return self._probability_sum / self.area.clamp(min=1)

    def select(self, order: Tensor, overlap: float) -> Tensor:
        """Return (n,) bool: the queries kept by a greedy merge in this order."""
        num_bytes = -(-len(self.area) // 8)
        packed = np.frombuffer(b''.join(self._sets), np.uint8).reshape(-1, max(num_bytes, 1))
        members = np.unpackbits(packed, axis=1, count=len(self.area)).astype(bool)
        sizes = np.fromiter(self._sets.values(), np.int64, len(self._sets))
        alone = self.area.numpy() - sizes @ members
        is_free = np.ones(len(sizes), dtype=bool)
        kept = []
        for query in order.tolist():
            free = alone[query] + sizes[members[:, query] & is_free].sum()
            kept.append(bool(free > overlap * self.area[query]))
            if kept[-1]:
                is_free &= ~members[:, query]
        return torch.tensor(kept, dtype=torch.bool)


def paint(
    clips: Iterator[Tensor], shapes: ImageShapes, owners: Callable[[Tensor], Tensor] | None
) -> Iterator[NDArray[np.int32]]:
    """Yield the ids of the pixels of each frame, (H, W) at the original size.

    Args:
        clips: mask logits (Q, T, H, W).
        shapes: shapes of the frames.
        owners: maps logits (P, Q) to ids (P,) int32 of pixels; None if all are void.
    """
    height, width = shapes.ori_shape
    for frame in frames_of(clips):
        painted = np.full((height, width), VOID, dtype=np.int32)
        if owners is not None:
            for rows, logits in resized_logits(frame, shapes):
                painted[rows] = owners(logits).view(width, -1).T.numpy()
        yield painted


def resized_logits(logits: Tensor, shapes: ImageShapes) -> Iterator[tuple[slice, Tensor]]:
    """Resize the logits of a frame to its original size, several rows at a time.

    Equivalent to `resize_mask_logits`, whose result would take gigabytes.

    Args:
        logits: (Q, H, W) at stride 4 of the padded input.
        shapes: shapes of the frame.

    Yields:
        The rows, and their logits (P, Q), pixels in column-major order.
    """
    num_queries, height, width = logits.shape
    y, x = axis_resamplings((height, width), shapes)
    table = logits.float().cpu().permute(1, 2, 0).reshape(height, -1)
    out_height, out_width = shapes.ori_shape
    step = max(1, _STRIPE_ELEMENTS // (out_width * num_queries))
    for start in range(0, out_height, step):
        rows = slice(start, min(start + step, out_height))
        stripe = F.embedding_bag(
            y.taps[rows], table, mode='sum', per_sample_weights=y.tap_weights[rows]
        )
        # (rows, width, Q) -> (width, rows * Q), to resize along the other axis
        stripe = stripe.view(-1, width, num_queries).transpose(0, 1).reshape(width, -1)
        stripe = F.embedding_bag(x.taps, stripe, mode='sum', per_sample_weights=x.tap_weights)
        yield rows, stripe.view(-1, num_queries)
