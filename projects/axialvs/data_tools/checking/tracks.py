"""Looks at the masks, boxes and areas of instances that could be read."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from axialvs.data_tools.checking.contents import Track
from axialvs.data_tools.checking.findings import Findings
from axialvs.datasets.annotations.youtube_vis import Video

_BOX_TOLERANCE = 2.0  # pixels: boxes of polygons lie between pixels
_AREA_TOLERANCE = 0.1  # of the mask's area: polygons are rasterised in more than one way


def check_tracks(tracks: Iterable[Track], min_area: float, findings: Findings) -> list[float]:
    """Notes what is odd about masks that are whole.

    Args:
        tracks: The instances.
        min_area: Pixels that the largest mask of an instance has to have.
        findings: Where faults go.

    Returns:
        For every track the mean area of the masks that have a pixel, in pixels; 0 where none has.
    """
    owners: dict[tuple[int, int, bytes], str] = {}
    means = []
    for track in tracks:
        areas = _check_track(track, min_area, owners, findings)
        means.append(float(areas[areas > 0].mean()) if areas.any() else 0.0)
    return means


def _check_track(
    track: Track, min_area: float, owners: dict[tuple[int, int, bytes], str], findings: Findings
) -> NDArray[np.int64]:
    """(L,) areas in pixels; 0 where there is no mask."""
    video = track.video
    rles = {
        frame: _as_rle(entry, video)
        for frame, entry in enumerate(track.segmentations)
        if entry is not None
    }
    areas = np.zeros(video.length, dtype=np.int64)
    boxes = np.zeros((video.length, 4))
    if rles:
        areas[list(rles)] = mask_utils.area(list(rles.values()))
        boxes[list(rles)] = mask_utils.toBbox(list(rles.values()))
    for frame in rles:
        where = track.in_frame(frame)
        if not areas[frame]:
            findings.add('mask-empty', where)
            continue
        key = (video.id, frame, rles[frame]['counts'])
        other = owners.setdefault(key, track.where)
        if other != track.where:
            findings.add('mask-twice', where, f'the same mask as that of {other}')
    _compare_boxes(track, areas, boxes, findings)
    _compare_areas(track, areas, findings)
    if track.iscrowd:
        findings.add(
            'crowd', track.where, '' if track.stills else f'{np.count_nonzero(areas)} masks'
        )
    if not areas.any():
        if not track.broken.any():
            findings.add('track-unseen', track.where)
    elif areas.max() < min_area:
        findings.add('object-tiny', track.where, f'at most {areas.max()} pixels')
    return areas


def _as_rle(entry: dict[str, Any] | list[list[float]], video: Video) -> dict[str, Any]:
    """Compressed RLE of a mask that the reader has found to be one."""
    if isinstance(entry, list):
        return mask_utils.merge(mask_utils.frPyObjects(entry, video.height, video.width))
    if isinstance(entry['counts'], list):
        return mask_utils.frPyObjects(entry, *entry['size'])
    return {'size': entry['size'], 'counts': entry['counts'].encode('ascii')}


def _compare_boxes(
    track: Track, areas: NDArray[np.int64], boxes: NDArray[np.float64], findings: Findings
) -> None:
    for frame, box in enumerate(track.bboxes or ()):
        where = track.in_frame(frame)
        if box is None or track.broken[frame]:
            continue
        if track.segmentations[frame] is None:
            # A box of no size is how some writers put "absent".
            if box[2] > 0 and box[3] > 0:
                findings.add('box-without-mask', where, f'box {_rounded(box)}')
        elif areas[frame] and not _encloses(box, boxes[frame]):
            problem = f'box {_rounded(box)}, but the mask fills {_rounded(boxes[frame])}'
            findings.add('box-misses-mask', where, problem)


def _encloses(outer: Sequence[float], inner: Sequence[float]) -> bool:
    """Whether one box [x, y, width, height] lies in another, within the tolerance."""
    return all(
        outer[axis] - _BOX_TOLERANCE <= inner[axis]
        and inner[axis] + inner[axis + 2] <= outer[axis] + outer[axis + 2] + _BOX_TOLERANCE
        for axis in (0, 1)
    )


def _compare_areas(track: Track, areas: NDArray[np.int64], findings: Findings) -> None:
    for frame, area in enumerate(track.areas or ()):
        found = int(areas[frame])
        if area is None or not found or track.iscrowd:  # crowds have no size in scores
            continue
        if abs(area - found) > max(_AREA_TOLERANCE * found, 4 * found**0.5):
            where = track.in_frame(frame)
            findings.add('area-differs', where, f'area {area:g}, but the mask has {found} pixels')


def _rounded(box: Sequence[float]) -> str:
    return '[' + ', '.join(f'{number:g}' for number in np.round(box, 1)) + ']'
