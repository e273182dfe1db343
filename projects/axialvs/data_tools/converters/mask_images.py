"""Read mask images, whose palette indices, gray values or colors identify objects."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from axialvs.data_tools.converters.id_shapes import IdShapes
from axialvs.data_tools.converters.labeled_video import RLE, ConversionError
from axialvs.utils.images import open_image
from axialvs.utils.rle import encode_mask

# Antialiased or lossy masks have up to 256 gray values; valid masks have few.
MAX_OBJECTS = 100
_DEEP_MODES = ('I;16', 'I;16B', 'I')
# Pixel format -> Pillow modes. Values of the same format are comparable within a video.
_KINDS = {
    'palette': ('P', 'PA'),
    'gray': ('L', 'LA', '1'),
    '16-bit gray': _DEEP_MODES,
    'color': ('RGB', 'RGBA'),
}
_BRIGHTEST, _DEEPEST, _OPAQUE = 255, 65535, 128
_BLACK = 0.1  # maximum brightness of black, from 0 to 1
_COLOR_WEIGHTS = np.array([1 << 16, 1 << 8, 1])


@dataclass
class MaskReader:
    """Read the mask images of one video.

    An id is a palette index or a gray value of up to 16 bits; in RGB images, it is the color as
    0xRRGGBB or, if all images of the video are gray, the gray value. 0 and transparent pixels are
    background.

    Args:
        binary: masks contain one object on a black background: all pixels brighter than 0.5 or,
            if the alpha channel varies, all opaque pixels are object 1.
        background: the background value, which is swapped with 0. With `binary`, any value other
            than 0 means a white background.
    """

    binary: bool = False
    background: int = 0
    shapes: IdShapes = field(default_factory=IdShapes)
    _kind: tuple[str, Path] | None = None
    _colors: dict[int, tuple[tuple[int, ...], Path]] = field(default_factory=dict)
    _pixels: Counter = field(default_factory=Counter)
    _edges: Counter = field(default_factory=Counter)
    _first_edge: dict[int, Path] = field(default_factory=dict)

    def read(self, path: Path) -> NDArray[np.int64]:
        """Read the (H, W) object ids of an image.

        Raises:
            ConversionError: if it cannot be read, is a photograph, or its pixel format differs
                from earlier images.
        """
        with open_image(path, ConversionError) as image:
            if (images := getattr(image, 'n_frames', 1)) > 1:
                raise ConversionError(
                    f'{path}: contains {images} images; save one mask per frame and file'
                )
            image.load()
            kind = next((k for k, modes in _KINDS.items() if image.mode in modes), None)
            if kind is None:
                raise ConversionError(
                    f'{path}: pixels of mode {image.mode} are not object ids; save it as PNG'
                )
            opaque = _opaque(image)
            if self.binary:
                ids = _binary(image, opaque, path, self.background == 0).astype(np.int64)
                self.shapes.add(ids)
                return ids
            pixels = np.asarray(image.convert('L') if image.mode == '1' else image)
            palette = image.getpalette() if kind == 'palette' else None
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        pixels = pixels[..., : 3 if kind == 'color' else 1]
        ids = pixels.astype(np.int64) @ _COLOR_WEIGHTS[-pixels.shape[-1] :]
        ids[~opaque] = 0
        self._check(path, kind, ids)
        if kind == 'palette':
            self._check_palette(path, ids, palette)
        else:
            self._count_edges(path, ids, pixels)
        if self.background:
            value = self.background
            if kind == 'color' and value <= _BRIGHTEST and (pixels == pixels[..., :1]).all():
                value *= 0x010101
            is_ground, is_zero = ids == value, (ids == 0) & opaque
            ids[is_ground], ids[is_zero] = 0, value
        self.shapes.add(ids)
        return ids

    def _check(self, path: Path, kind: str, ids: NDArray[np.int64]) -> None:
        number = len(np.unique(ids))
        if number > MAX_OBJECTS + 1:
            raise ConversionError(
                f'{path}: has {number} different values, so its edges are antialiased or it was '
                'saved with lossy compression; save masks as PNG without antialiasing, or set '
                '--binary if black is background and white is one object'
            )
        if not ids.any():
            return
        known, first = self._kind = self._kind or (kind, path)
        if kind != known:
            raise ConversionError(
                f'{path}: has {kind} pixels, but {first} of the same video has {known} pixels, so '
                'object ids are not consistent; save all masks of a video in one format'
            )

    def _check_palette(self, path: Path, ids: NDArray[np.int64], palette: list[int] | None) -> None:
        for index in np.unique(ids).tolist():
            color = tuple((palette or [])[3 * index : 3 * index + 3])
            known, first = self._colors.setdefault(index, (color, path))
            if color != known:
                raise ConversionError(
                    f'{path}: palette index {index} has the color {color}, but {known} in {first} '
                    'of the same video, so object ids are not consistent; save all masks of a '
                    'video with one palette'
                )

    def _count_edges(self, path: Path, ids: NDArray[np.int64], pixels: NDArray[np.integer]) -> None:
        """Count the pixels of each id between a darker and a brighter neighbor."""
        if len(np.unique(ids)) <= 2:
            counted = np.unique(ids, return_counts=True)
            self._pixels.update(dict(zip(*(c.tolist() for c in counted), strict=True)))
            return
        values = pixels.astype(np.float32)
        square = np.ones((3, 3), np.uint8)
        low = cv2.erode(values, square).reshape(values.shape)
        high = cv2.dilate(values, square).reshape(values.shape)
        between = ((low <= values) & (values <= high)).all(-1)
        between &= ((low < values) & (values < high)).any(-1)
        for counts, chosen in ((self._pixels, ids), (self._edges, ids[between])):
            found, numbers = np.unique(chosen, return_counts=True)
            counts.update(dict(zip(found.tolist(), numbers.tolist(), strict=True)))
        for value in np.unique(ids[between]).tolist():
            self._first_edge.setdefault(value, path)

    def check_edges(self) -> None:
        """Check after the last image that no object consists of antialiased edges.

        Raises:
            ConversionError: if there are values that only occur between two others.
        """
        edges = [v for v, n in self._edges.items() if v and n == self._pixels[v]]
        # A thin object between two others is possible; its id is then next to theirs.
        values = sorted(self._pixels)
        gaps = [v for v in edges if not {v - 1, v + 1} <= set(values)]
        if gaps or len(edges) > 1:
            shown = ', '.join(map(str, sorted(edges)[:5])) + ', ...' * (len(edges) > 5)
            raise ConversionError(
                f'{self._first_edge[min(edges)]}: the values {shown} only occur between two '
                'others, as in antialiased edges; draw and resize masks without antialiasing '
                '(nearest neighbor), or set --binary if black is background and white is one '
                'object'
            )

    def doubts(self) -> Mapping[int, str]:
        """Return possible problems by id, after the last image."""
        ground = 'covers the border of most masks and is an object; if it is background, set '
        line = (
            'is a line around the other objects and an object itself; if it means "do not care", '
            'set '
        )
        return {
            **{i: f'{ground}--background' for i in self.shapes.backgrounds()},
            **{i: f'{line}--ignore-ids' for i in self.shapes.lines()},
        }

    def canonical_ids(self) -> Mapping[int, int]:
        """Return the final ids of those that change: colors are gray values if all are gray."""
        if self._kind is None or self._kind[0] != 'color':
            return {}
        grays = {value: value & 0xFF for value in self._pixels}
        is_gray = all(value == gray * 0x010101 for value, gray in grays.items())
        return grays if is_gray else {}


def _opaque(image: Image.Image) -> NDArray[np.bool_]:
    """Return an (H, W) bool mask that is False for transparent pixels."""
    if 'A' not in image.getbands():
        return np.ones(image.size[::-1], dtype=bool)
    return np.asarray(image.getchannel('A')) >= _OPAQUE


def _binary(
    image: Image.Image, opaque: NDArray[np.bool_], path: Path, on_black: bool
) -> NDArray[np.bool_]:
    if not opaque.all():  # a cutout, whose mask is the alpha channel
        return opaque
    if image.mode in _DEEP_MODES:
        values = np.asarray(image).astype(np.float32) / _DEEPEST
    else:
        values = np.asarray(image.convert('L')).astype(np.float32) / _BRIGHTEST
    square = np.ones((3, 3), np.uint8)
    darkest, brightest = cv2.erode(values, square), cv2.dilate(values, square)
    dim = (darkest == brightest) & (values > _BLACK) & (values <= 0.5)  # areas, not edges
    if dim.any():
        y, x = np.argwhere(dim)[0].tolist()
        raise ConversionError(
            f'{path}: the area at x={x}, y={y} has brightness {values[y, x]:.2f}, which is neither '
            'black nor white; omit --binary to convert each value or color to an object'
        )
    return (values > 0.5) == on_black


def split_objects(ids: NDArray[np.int64]) -> dict[int, RLE]:
    """Return the masks of all object ids except 0 in an (H, W) id map."""
    return {int(i): encode_mask(ids == i) for i in np.unique(ids) if i != 0}
