"""Predicted tracks get the ids of the objects that they cover."""

import numpy as np
from rlemasklib import RLEMask

from axialvs.evaluation.id_switches import ids_like_gt

SIZE = (4, 8)


def tube(*columns: slice | None) -> list[RLEMask | None]:
    """Return a track whose mask in each frame covers some columns of the image, or None."""
    frames = []
    for chosen in columns:
        if chosen is None:
            frames.append(None)
            continue
        mask = np.zeros(SIZE, bool)
        mask[:, chosen] = 1
        frames.append(RLEMask.from_array(mask))
    return frames


def test_one_to_one_assignment_maximizes_the_overlap():
    left, right = slice(0, 4), slice(4, 8)
    gts = [tube(left, left), tube(right, right)]
    predictions = [
        tube(left, right),  # switches objects and is assigned the remaining one
        tube(left, left),
        tube(None, slice(0, 1)),  # overlaps an object that another track covers better
    ]
    assert ids_like_gt(predictions, gts, [5, 9]) == [9, 5, 10]


def test_without_objects_tracks_are_numbered_from_one():
    assert ids_like_gt([tube(slice(0, 4)), tube(slice(2, 4))], [], []) == [1, 2]
    assert ids_like_gt([], [tube(slice(0, 4))], [3]) == []
