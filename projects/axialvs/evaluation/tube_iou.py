"""Intersection over union of tubes, an object's masks through a video, from their run lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.rle import RLEError
from axialvs.evaluation.mask_runs import MaskRuns, read_runs

# An object's mask in each of the L frames: COCO's compressed `counts`, or None where it is absent.
Tube = Sequence[str | None]

# Reading takes about 60 bytes a character; longer videos are read in parts of so many.
MAX_CHARACTERS_AT_ONCE = 4_000_000
_MAX_BOUNDS_AT_ONCE = 1_000_000


class TubeError(ValueError):
    """A mask of a tube is no mask.

    Attributes:
        tube: Index of the tube, detections first, then ground truth.
        frame: Index of the frame.
        reason: What is wrong.
    """

    def __init__(self, tube: int, frame: int, reason: str) -> None:
        super().__init__(f'tube {tube}, frame {frame}: {reason}')
        self.tube = tube
        self.frame = frame
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TubeOverlaps:
    """How D detected and G ground truth tubes of a video of L frames overlap.

    Attributes:
        ious: (D, G) sums of intersections over sums of unions; 0 where not compared.
        detection_areas: (D, L) pixels of each mask, 0 where absent.
        truth_areas: (G, L) likewise.
    """

    ious: NDArray[np.float64]
    detection_areas: NDArray[np.int64]
    truth_areas: NDArray[np.int64]


def tube_overlaps(
    detections: Sequence[Tube],
    truths: Sequence[Tube],
    comparable: NDArray[np.bool_],
    size: tuple[int, int],
    at_least: float = 0.0,
) -> TubeOverlaps:
    """Compares the tubes of one video.

    Two tubes share at most the smaller area of each frame, and nothing where their columns do not
    meet. Pairs that cannot reach `at_least` by this bound are not compared, which spares most of
    the work and changes no value of `at_least` or more.

    Args:
        detections: D tubes.
        truths: G tubes.
        comparable: (D, G) which pairs to compare.
        size: (height, width) of the video.
        at_least: Smallest value of interest.

    Raises:
        TubeError: A mask of a tube is no mask of this size.
    """
    tubes = [*detections, *truths]
    num_detections = len(detections)
    reader = _TubeReader(tubes, size)
    areas, lefts, rights = reader.extents()
    totals = areas.sum(axis=1)

    pairs = np.argwhere(comparable) + np.array([0, num_detections])
    bounds = _shared_at_most(pairs, areas, lefts, rights)
    pairs = pairs[(bounds > 0) & (_ratio(bounds, totals[pairs].sum(axis=1)) >= at_least)]
    shared = np.zeros(len(pairs), dtype=np.int64)
    for part in reader.parts() if len(pairs) else ():
        shared += [_intersection(part, first, second) for first, second in pairs.tolist()]

    ious = np.zeros((num_detections, len(truths)))
    ious[pairs[:, 0], pairs[:, 1] - num_detections] = _ratio(shared, totals[pairs].sum(axis=1))
    return TubeOverlaps(ious, areas[:num_detections], areas[num_detections:])


def _ratio(shared: NDArray[np.int64], sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union, where `sums` are the areas of both; grows with `shared`."""
    return shared / np.maximum(sums - shared, 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive frames of all tubes, positions counted through these frames.

    Attributes:
        runs: Of all masks, tube by tube, each tube's in the order of the frames.
        borders: (tubes + 1,) where in the runs each tube begins.
        owners: (N,) the tube of each mask.
        frames: (N,) the frame of each mask.
        offsets: (N,) position at which each mask begins.
    """

    runs: MaskRuns
    borders: list[int]
    owners: NDArray[np.int64]
    frames: NDArray[np.int64]
    offsets: NDArray[np.int64]


class _TubeReader:
    """Reads tubes part by part; a video that fits into one part is read once."""

    def __init__(self, tubes: Sequence[Tube], size: tuple[int, int]) -> None:
        self._tubes = tubes
        self._height, self._width = size
        self._length = len(tubes[0]) if tubes else 0
        characters = [sum(map(len, filter(None, masks))) for masks in zip(*tubes, strict=True)]
        part_of_frame = np.cumsum(characters) // MAX_CHARACTERS_AT_ONCE
        borders = np.flatnonzero(np.diff(part_of_frame)) + 1
        self._borders = [0, *borders.tolist(), self._length]
        self._only_part: _Part | None = None

    def parts(self):
        """The parts of the video, in order."""
        if self._only_part is not None:
            yield self._only_part
            return
        for start, stop in zip(self._borders, self._borders[1:], strict=False):
            yield self._read(start, stop)

    def extents(self) -> tuple[NDArray, NDArray, NDArray]:
        """Area, first and last column of each mask, each (tubes, L); absent masks have area 0."""
        areas, lefts, rights = np.zeros((3, len(self._tubes), self._length), dtype=np.int64)
        for part in self.parts():
            areas[part.owners, part.frames] = part.runs.areas
            filled = part.runs.areas > 0
            where = part.owners[filled], part.frames[filled]
            first = part.runs.borders[:-1][filled]
            last = part.runs.borders[1:][filled] - 1
            lefts[where] = (part.runs.starts[first] - part.offsets[filled]) // self._height
            rights[where] = (part.runs.ends[last] - 1 - part.offsets[filled]) // self._height
        return areas, lefts, rights

    def _read(self, start: int, stop: int) -> _Part:
        owners, frames, strings = [], [], []
        for owner, tube in enumerate(self._tubes):
            present = [frame for frame in range(start, stop) if tube[frame] is not None]
            owners += [owner] * len(present)
            frames += present
            strings += [tube[frame] for frame in present]
        num_pixels = self._height * self._width
        places = np.array(frames, dtype=np.int64)
        offsets = (places - start) * num_pixels
        try:
            runs = read_runs(strings, offsets, num_pixels)
        except RLEError as error:
            raise TubeError(owners[error.position], frames[error.position], error.reason) from error
        owners = np.array(owners, dtype=np.int64)
        masks_before = np.searchsorted(owners, np.arange(len(self._tubes) + 1))
        part = _Part(runs, runs.borders[masks_before].tolist(), owners, places, offsets)
        if len(self._borders) == 2:
            self._only_part = part
        return part


def _shared_at_most(
    pairs: NDArray[np.int64],
    areas: NDArray[np.int64],
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Upper bound of each pair's intersection, from what `extents` gives."""
    bounds = np.zeros(len(pairs), dtype=np.int64)
    step = max(1, _MAX_BOUNDS_AT_ONCE // max(1, areas.shape[1]))
    for start in range(0, len(pairs), step):
        first, second = pairs[start : start + step].T
        meet = np.maximum(lefts[first], lefts[second]) <= np.minimum(rights[first], rights[second])
        smaller = np.minimum(areas[first], areas[second])
        bounds[start : start + step] = (smaller * meet).sum(axis=1)
    return bounds


def _intersection(part: _Part, first: int, second: int) -> int:
    """Pixels that two tubes share.

    The runs of one tube are disjoint, so at most two runs cover a position. With all starts and
    all ends of both sorted, a position is covered twice exactly where it lies, for one k, at or
    after start k + 1 and before end k.
    """
    one = slice(part.borders[first], part.borders[first + 1])
    other = slice(part.borders[second], part.borders[second + 1])
    starts = np.concatenate((part.runs.starts[one], part.runs.starts[other]))
    ends = np.concatenate((part.runs.ends[one], part.runs.ends[other]))
    starts.sort(kind='stable')  # merges what is sorted in parts
    ends.sort(kind='stable')
    twice = ends[:-1] - starts[1:]
    return int(np.maximum(twice, 0, out=twice).sum())
