"""Check masks, boxes and areas."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from axialvs.data_tools.checking.rules import Findings
from axialvs.datasets.annotations.youtube_vis import Instance, Video, VideoAnnotations
from axialvs.utils.rle import compress, measure

_BOX_TOLERANCE = 2.0  # pixels; boxes of polygons have subpixel coordinates
_AREA_TOLERANCE = 0.1  # fraction of the mask area; rasterization of polygons differs among tools


def describe(
    annotations: VideoAnnotations,
    video_id: int,
    instance: Instance | None = None,
    frame: int | None = None,
) -> str:
    """Format a record, such as 'video 3, instance 7, frame 2' or 'image 3, annotation 7'."""
    nouns = ('image', 'annotation') if annotations.are_images else ('video', 'instance')
    words = [f'{nouns[0]} {video_id}']
    if instance is not None:
        words.append(f'{nouns[1]} {instance.id}')
    if frame is not None and not annotations.are_images:
        words.append(f'frame {frame}')
    return ', '.join(words)


def check_masks(annotations: VideoAnnotations, min_area: float, findings: Findings) -> list[float]:
    """Report suspicious masks, boxes and areas.

    Args:
        annotations: content of the annotation file.
        min_area: report instances whose largest mask has fewer pixels.
        findings: collects the findings.

    Returns:
        Mean area of the non-empty masks of each instance, in pixels; 0 if all are empty.
    """
    videos = {video.id: video for video in annotations.videos}
    owners: dict[tuple[int, int, str], str] = {}
    means = []
    for instance in annotations.instances or ():
        video = videos[instance.video_id]
        where = describe(annotations, video.id, instance)
        places = [describe(annotations, video.id, instance, t) for t in range(video.length)]
        areas, boxes, codes = _measure(instance, video)
        for frame, counts in codes.items():
            if not areas[frame]:
                findings.add('mask-empty', places[frame])
                continue
            other = owners.setdefault((video.id, frame, counts), where)
            if other != where:
                findings.add('mask-twice', places[frame], f'same mask as {other}')
        _compare_boxes(instance, areas, boxes, places, findings)
        _compare_areas(instance, areas, places, findings)
        if instance.iscrowd:
            number = '' if annotations.are_images else f'{np.count_nonzero(areas)} masks'
            findings.add('crowd', where, number)
        if not areas.any():
            if not instance.broken:
                findings.add('track-unseen', where)
        elif areas.max() < min_area:
            findings.add('object-tiny', where, f'at most {areas.max()} pixels')
        means.append(float(areas[areas > 0].mean()) if areas.any() else 0.0)
    return means


def _measure(
    instance: Instance, video: Video
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[int, str]]:
    """Return (L,) areas, (L, 4) boxes, and the RLE counts of the frames with a mask."""
    rles = {
        frame: compress(entry, video.height, video.width)
        for frame, entry in enumerate(instance.segmentations)
        if entry is not None
    }
    areas = np.zeros(video.length, dtype=np.int64)
    boxes = np.zeros((video.length, 4))
    for frame, rle in rles.items():
        areas[frame], boxes[frame] = measure(rle)
    return areas, boxes, {frame: rle['counts'] for frame, rle in rles.items()}


def _compare_boxes(
    instance: Instance,
    areas: NDArray[np.int64],
    boxes: NDArray[np.float64],
    places: Sequence[str],
    findings: Findings,
) -> None:
    for frame, box in enumerate(instance.bboxes or ()):
        if box is None or frame in instance.broken:
            continue
        if instance.segmentations[frame] is None:
            # Some tools write a box of size zero for absent objects.
            if box[2] > 0 and box[3] > 0:
                findings.add('box-without-mask', places[frame], f'box {_rounded(box)}')
        elif areas[frame] and not _encloses(box, boxes[frame]):
            problem = f'box {_rounded(box)}, but the box of the mask is {_rounded(boxes[frame])}'
            findings.add('box-misses-mask', places[frame], problem)


def _encloses(outer: Sequence[float], inner: Sequence[float]) -> bool:
    """Return whether a box [x, y, width, height] encloses another, within the tolerance."""
    return all(
        outer[axis] - _BOX_TOLERANCE <= inner[axis]
        and inner[axis] + inner[axis + 2] <= outer[axis] + outer[axis + 2] + _BOX_TOLERANCE
        for axis in (0, 1)
    )


def _compare_areas(
    instance: Instance, areas: NDArray[np.int64], places: Sequence[str], findings: Findings
) -> None:
    for frame, area in enumerate(instance.areas or ()):
        found = int(areas[frame])
        if area is None or not found or instance.iscrowd:  # metrics do not use areas of crowds
            continue
        if abs(area - found) > max(_AREA_TOLERANCE * found, 4 * found**0.5):
            problem = f'area {area:g}, but the mask has {found} pixels'
            findings.add('area-differs', places[frame], problem)


def _rounded(box: Sequence[float]) -> str:
    return '[' + ', '.join(f'{number:g}' for number in np.round(box, 1)) + ']'
