"""Small sources in every format of the converters, all with the same two moving objects."""

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils

from axialvs.datasets.annotations.youtube_vis import VideoAnnotations

HEIGHT, WIDTH, LENGTH = 24, 40, 4
PALETTE = [0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200]


def ball(frame: int) -> np.ndarray:
    """Return the mask (H, W) of object 1, a block that moves to the right."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4:10, 3 + 4 * frame : 11 + 4 * frame] = True
    return mask


def late_box(frame: int) -> np.ndarray:
    """Return the mask (H, W) of object 2, which appears in frame 2."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    if frame >= 2:
        mask[14:22, 5:15] = True
    return mask


OBJECTS = {1: ball, 2: late_box}


def write_frames(folder: Path, names: list[str], size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Write gray frames of (width, height) pixels."""
    folder.mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), 90, np.uint8))


def object_ids(frame: int) -> np.ndarray:
    """Return a uint8 image (H, W) of object ids."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    for identifier, mask_of in OBJECTS.items():
        ids[mask_of(frame)] = identifier
    return ids


def write_davis(root: Path, videos: tuple[str, ...] = ('cart',), length: int = LENGTH) -> None:
    """Write JPEGImages/VIDEO/00000.jpg and Annotations/VIDEO/00000.png with gray ids."""
    for video in videos:
        names = [f'{frame:05d}' for frame in range(length)]
        write_frames(root / 'JPEGImages' / video, [f'{name}.jpg' for name in names])
        (root / 'Annotations' / video).mkdir(parents=True)
        for frame, name in enumerate(names):
            path = root / 'Annotations' / video / f'{name}.png'
            cv2.imwrite(str(path), object_ids(frame))


def rle_of(mask: np.ndarray) -> dict:
    """Return a compressed COCO RLE."""
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(mask.shape), 'counts': rle['counts'].decode()}


def box_of(mask: np.ndarray) -> list[float]:
    """Return the bounding box of a mask as x, y, width, height."""
    return mask_utils.toBbox(mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))).tolist()


def coco_video(position: str = 'frame_id', identity: str = 'instance_id') -> dict:
    """Return a JSON of one video: mmdet's CocoVID, or TAO's by the names of two fields."""
    images, annotations = [], []
    for frame in reversed(range(LENGTH)):  # readers must not rely on their order in the file
        images.append(
            {
                'id': 100 + frame,
                'video_id': 7,
                position: 10 * frame,
                'file_name': f'cart/{frame:05d}.jpg',
                'width': WIDTH,
                'height': HEIGHT,
            }
        )
        for identifier, mask_of in OBJECTS.items():
            mask = mask_of(frame)
            if mask.any():
                annotations.append(
                    {
                        'id': len(annotations) + 1,
                        'image_id': 100 + frame,
                        identity: identifier,
                        'category_id': 5 - identifier,
                        'segmentation': rle_of(mask),
                        'bbox': box_of(mask),
                    }
                )
    return {
        'videos': [{'id': 7, 'name': 'cart'}],
        'images': images,
        'annotations': annotations,
        'categories': [{'id': 3, 'name': 'box'}, {'id': 4, 'name': 'ball'}],
    }


def write_json(path: Path, content: dict) -> Path:
    """Write JSON content to a file."""
    path.write_text(json.dumps(content))
    return path


def row_runs(mask: np.ndarray) -> str:
    """Return run lengths along rows, background first."""
    flat = mask.reshape(-1).astype(np.int8)
    borders = np.flatnonzero(np.diff(np.concatenate(([0], flat)))).tolist()
    return ', '.join(map(str, np.diff([0, *borders, flat.size])))


def cvat_mask(frame: int, mask: np.ndarray, outside: int = 0) -> str:
    """Return a <mask> element with the runs inside the mask's box."""
    x, y, width, height = (int(v) for v in box_of(mask))
    runs = row_runs(mask[y : y + height, x : x + width])
    return (
        f'<mask frame="{frame}" keyframe="1" outside="{outside}" occluded="0" rle="{runs}" '
        f'left="{x}" top="{y}" width="{width}" height="{height}" z_order="0"></mask>'
    )


def cvat_polygon(frame: int, mask: np.ndarray, outside: int = 0, keyframe: int = 1) -> str:
    """Return a <polygon> element around a rectangular mask."""
    x, y, width, height = box_of(mask)
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    points = ';'.join(f'{a:.2f},{b:.2f}' for a, b in corners)
    return (
        f'<polygon frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" '
        f'points="{points}" z_order="0"></polygon>'
    )


def cvat(*tracks: str, head: str = '', size: int = LENGTH) -> str:
    """Return the XML of one task; each track is given as `label>shapes`."""
    body = ''.join(
        f'<track id="{number}" label="{track.partition(">")[0]}" source="manual">'
        f'{track.partition(">")[2]}</track>'
        for number, track in enumerate(tracks)
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>1</id><name>cart</name><size>{size}</size>
<mode>interpolation</mode>{head}<labels><label><name>ball</name></label>
<label><name>box</name></label></labels>
<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>
<source>cart.mp4</source></task></meta>{body}</annotations>"""


def masks_of(annotations: VideoAnnotations) -> dict[str, list[np.ndarray | None]]:
    """Return the masks of all objects by class name, each used by one object only."""
    names = {category.id: category.name for category in annotations.categories}
    return {
        names[instance.category_id]: [
            None if rle is None else mask_utils.decode(rle).astype(bool)
            for rle in instance.segmentations
        ]
        for instance in annotations.instances
    }


def assert_masks(found: list[np.ndarray | None], expected: list[np.ndarray]) -> None:
    """Assert equal masks, with None for frames without the object."""
    assert len(found) == len(expected)
    for mask, wanted in zip(found, expected, strict=True):
        if wanted.any():
            assert np.array_equal(mask, wanted)
        else:
            assert mask is None
