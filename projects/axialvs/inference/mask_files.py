"""Write tracks as images: id masks per frame, mattes and a cut-out per track."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from axialvs.inference.segmented_video import SegmentedVideo
from axialvs.structures import ClipResult, Size, Track
from axialvs.utils.images import write_image
from axialvs.utils.rle import decode_mask

_MAX_PALETTE_ID = 255


def davis_palette() -> np.ndarray:
    """Return the palette (256, 3) uint8 of DAVIS and PASCAL VOC; 0, the background, is black.

    Bits 0, 1 and 2 of an index are the highest bits of red, green and blue, bits 3 to 5 the next.
    """
    index = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= ((index >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette


def write_id_masks(folder: Path, video: SegmentedVideo) -> int:
    """Write `00000.png` ... whose pixel values are track ids, 0 for the background.

    8 bits with the palette of DAVIS, or 16 bits of gray if an id exceeds 255. Where masks overlap,
    the track with the higher score is on top.

    Args:
        folder: output folder, created if needed.
        video: video with track ids from 1 to 65535; files are named by frame number.

    Returns:
        The total number of pixels in which masks overlap.

    Raises:
        OSError: if a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    largest = max((track.id for track in video.shown), default=0)
    dtype = np.uint8 if largest <= _MAX_PALETTE_ID else np.uint16
    palette = davis_palette().tobytes() if dtype is np.uint8 else None
    painter = IdPainter(video.shown, video.size)
    for index in video.times:
        image = Image.fromarray(painter.paint(index).astype(dtype))
        if palette is not None:
            image.putpalette(palette)  # converts to a palette image
        write_image(folder / f'{index:05d}.png', image, compress_level=1)
    return painter.num_overlapping


class IdPainter:
    """Paint maps of track ids; where masks overlap, the higher score is on top.

    Args:
        tracks: tracks with unique ids above 0.
        size: (height, width) of a frame.
    """

    def __init__(self, tracks: Sequence[Track], size: Size) -> None:
        self.num_overlapping = 0  # pixels of all frames so far
        self._bottom_up = sorted(tracks, key=lambda track: track.score)
        self._size = size

    def paint(self, index: int) -> np.ndarray:
        """Paint the frame at a position: (H, W) int32, 0 where there is no track."""
        ids = np.zeros(self._size, dtype=np.int32)
        for track in self._bottom_up:
            if rle := track.segmentations[index]:
                mask = decode_mask(rle)
                self.num_overlapping += np.count_nonzero(ids[mask])
                ids[mask] = track.id
        return ids


def write_mattes(folder: Path, video: SegmentedVideo) -> None:
    """Write `00001/00000.png` ...: a folder per track id, with one matte per frame.

    Mattes are 8-bit gray, 255 in the mask and 0 elsewhere. Each folder has all frames, as image
    sequences for compositing need. Masks may overlap.

    Args:
        folder: output folder, created if needed.
        video: video whose shown tracks are written; files are named by frame number.

    Raises:
        OSError: if a file cannot be written.
    """
    for track in video.shown:
        own = folder / f'{track.id:05d}'
        own.mkdir(parents=True, exist_ok=True)
        for index in video.times:
            rle = track.segmentations[index]
            mask = np.zeros(video.size, dtype=bool) if rle is None else decode_mask(rle)
            matte = Image.fromarray(mask.astype(np.uint8) * 255)
            write_image(own / f'{index:05d}.png', matte, compress_level=1)


class CropWriter:
    """Write each thing's cut-out from the frame in which its mask is largest.

    The files are `00001.png` ..., named by track id, with the mask as alpha. They are written while
    the video runs, to save memory.

    Args:
        folder: output folder, created if needed.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._areas: dict[int, int] = {}

    def add(self, clip: ClipResult) -> None:
        """Write the things of a clip whose mask is larger than before.

        Raises:
            OSError: if a file cannot be written.
        """
        things = clip.is_thing
        for track_id, masks in zip(clip.ids[things].tolist(), clip.masks[things], strict=True):
            areas = np.count_nonzero(masks, axis=(1, 2))
            best = int(areas.argmax())
            if areas[best] > self._areas.get(track_id, 0):
                self._areas[track_id] = int(areas[best])
                crop = Image.fromarray(cut_out(clip.images[best], masks[best]))
                write_image(self._folder / f'{track_id:05d}.png', crop, compress_level=1)


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cut an object out of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, not empty.

    Returns:
        RGBA uint8 of the mask's box; alpha is 255 in the mask and 0 elsewhere.
    """
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    alpha = mask[box].astype(np.uint8) * 255
    return np.dstack([image[box], alpha])
