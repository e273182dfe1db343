"""Intersection over union of tubes, an object's masks through a video, from their run lengths."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from axialvs.evaluation.mask_runs import read_runs
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import RLEError

# An object's mask in each of the L frames: COCO's compressed `counts`, or None where it is absent.
Tube = Sequence[str | None]

# Reading takes about 60 bytes a character; longer videos are read in parts of so many.
MAX_CHARACTERS_AT_ONCE = 4_000_000
# Few enough for the arrays to stay in the processor's cache, and in memory once it is allocated.
_CHARACTERS_OF_A_GROUP = 400_000
_MAX_BOUNDS_AT_ONCE = 1_000_000
_ABSENT = -1  # characters of a mask that is not there


class TubeError(AxialVSError):
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
    areas = reader.areas
    totals = areas.sum(axis=1)

    pairs = np.argwhere(comparable) + np.array([0, num_detections])
    bounds = _shared_at_most(pairs, areas, reader.lefts, reader.rights)
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
        starts: For each tube where its runs start, rising.
        ends: For each tube where they end.
    """

    starts: list[NDArray[np.integer]]
    ends: list[NDArray[np.integer]]


class _TubeReader:
    """Reads tubes part by part; a video that fits into one part is read once.

    Attributes:
        areas: (tubes, L) pixels of each mask; 0 where absent.
        lefts: (tubes, L) first column of each mask that has an area.
        rights: (tubes, L) last column of each mask that has an area.
    """

    def __init__(self, tubes: Sequence[Tube], size: tuple[int, int]) -> None:
        self._tubes = tubes
        self._height, self._width = size
        length = len(tubes[0]) if tubes else 0
        lengths = [[_ABSENT if mask is None else len(mask) for mask in tube] for tube in tubes]
        characters = np.array(lengths, dtype=np.int64).reshape(len(tubes), length)
        self._present = characters != _ABSENT
        self._characters = np.where(self._present, characters, 0)
        self._borders = _groups(self._characters.sum(axis=0), MAX_CHARACTERS_AT_ONCE)
        self._only_part: _Part | None = None
        self.areas, self.lefts, self.rights = np.zeros((3, *self._characters.shape), np.int64)
        for _ in self.parts():  # measures
            pass

    def parts(self) -> Iterator[_Part]:
        """The parts of the video, in order."""
        if self._only_part is not None:
            yield self._only_part
            return
        for frames in pairwise(self._borders):
            part = self._read(*frames)
            if len(self._borders) == 2:
                self._only_part = part
            yield part

    def _read(self, start: int, stop: int) -> _Part:
        part = _Part([], [])
        of_tube = self._characters[:, start:stop].sum(axis=1)
        for first, last in pairwise(_groups(of_tube, _CHARACTERS_OF_A_GROUP)):
            self._read_group(slice(first, last), slice(start, stop), part)
        return part

    def _read_group(self, tubes: slice, frames: slice, part: _Part) -> None:
        """Reads a few tubes, adds them to the part and takes their measures."""
        masks = [tube[frames] for tube in self._tubes[tubes]]
        owners, times = np.nonzero(self._present[tubes, frames])
        num_pixels = self._height * self._width
        is_short = (frames.stop - frames.start) * num_pixels <= np.iinfo(np.int32).max
        offsets = (times * num_pixels).astype(np.int32 if is_short else np.int64)
        try:
            runs = read_runs(
                [mask for tube in masks for mask in tube if mask is not None], offsets, num_pixels
            )
        except RLEError as error:
            owner, time = (int(places[error.position]) for places in (owners, times))
            raise TubeError(tubes.start + owner, frames.start + time, error.reason) from error
        of_tubes = runs.borders[np.searchsorted(owners, np.arange(len(masks) + 1))].tolist()
        part.starts.extend(runs.starts[a:b] for a, b in pairwise(of_tubes))
        part.ends.extend(runs.ends[a:b] for a, b in pairwise(of_tubes))

        filled = runs.areas > 0
        where = owners[filled] + tubes.start, times[filled] + frames.start
        first, last = runs.borders[:-1][filled], runs.borders[1:][filled] - 1
        self.areas[where] = runs.areas[filled]
        self.lefts[where] = (runs.starts[first] - offsets[filled]) // self._height
        self.rights[where] = (runs.ends[last] - 1 - offsets[filled]) // self._height


def _groups(sizes: NDArray[np.int64], limit: int) -> list[int]:
    """Borders of consecutive groups whose sizes sum up to about `limit`."""
    if not sizes.size:
        return [0]
    borders = np.flatnonzero(np.diff(np.cumsum(sizes) // limit)) + 1
    return [0, *borders.tolist(), len(sizes)]


def _shared_at_most(
    pairs: NDArray[np.int64],
    areas: NDArray[np.int64],
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Upper bound of each pair's intersection, from the measures of `_TubeReader`."""
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
    starts = np.concatenate((part.starts[first], part.starts[second]))
    ends = np.concatenate((part.ends[first], part.ends[second]))
    starts.sort(kind='stable')  # merges what is sorted in parts
    ends.sort(kind='stable')
    twice = ends[:-1] - starts[1:]
    # No larger than a position, so its type holds the sum; a wider one would take a copy.
    return int(np.maximum(twice, 0, out=twice).sum(dtype=twice.dtype))
