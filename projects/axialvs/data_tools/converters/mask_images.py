"""Mask images: palette indices, gray values or colors that identify objects."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from axialvs.data_tools.converters.id_shapes import IdShapes
from axialvs.data_tools.converters.labeled_video import RLE, ConversionError
from axialvs.utils.rle import encode_mask

# Smoothed or lossy masks have as many values as an image has grays; labeled ones have a handful.
MAX_OBJECTS = 100
_DEEP_MODES = ('I;16', 'I;16B', 'I')
# Kind of the pixels -> modes of Pillow. Values of one kind are comparable within a video.
_KINDS = {
    'palette': ('P', 'PA'),
    'gray': ('L', 'LA', '1'),
    '16-bit gray': _DEEP_MODES,
    'color': ('RGB', 'RGBA'),
}
_BRIGHTEST, _DEEPEST, _OPAQUE = 255, 65535, 128
_BLACK = 0.1  # the most that passes for black, from 0 to 1
_COLOR_WEIGHTS = np.array([1 << 16, 1 << 8, 1])


@dataclass
class MaskReader:
    """Read the mask images of one video.

    An id is a palette index or a gray value of up to 16 bits; in RGB images it is the color as
    the number 0xRRGGBB or, if all images of the video are gray, the gray value. 0, and what is
    transparent, is background.

    Args:
        binary: images are one object on a black ground: every pixel of more than half brightness,
            or if transparency varies every opaque pixel, is object 1.
        background: the value that is no object; it changes places with 0. With `binary`, any but
            0 stands for a white ground.
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
        """Return the (H, W) object ids of an image.

        Raises:
            ConversionError: if it cannot be read, is a photograph, or its pixels are of another
                kind than those of an earlier image.
        """
        try:
            with Image.open(path) as image:
                if (images := getattr(image, 'n_frames', 1)) > 1:
                    raise ConversionError(
                        f'{path}: holds {images} images; save one mask per file and frame'
                    )
                image.load()
                kind = next((k for k, modes in _KINDS.items() if image.mode in modes), None)
                if kind is None:
                    raise ConversionError(
                        f'{path}: pixels of kind {image.mode} are not object ids; save it as PNG'
                    )
                opaque = _opaque(image)
                if self.binary:
                    ids = _binary(image, opaque, path, self.background == 0).astype(np.int64)
                    self.shapes.add(ids)
                    return ids
                pixels = np.asarray(image.convert('L') if image.mode == '1' else image)
                palette = image.getpalette() if kind == 'palette' else None
        except (
            UnidentifiedImageError,
            OSError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:
            raise ConversionError(f'{path}: is not a readable image; replace the file') from error
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
                f'{path}: has {number} different values, so its edges are smoothed or it was saved '
                'with loss; save masks as PNG without smoothing, or give --binary where black and '
                'white mean background and one object'
            )
        if not ids.any():
            return
        known, first = self._kind = self._kind or (kind, path)
        if kind != known:
            raise ConversionError(
                f'{path}: has {kind} pixels, but {first} of the same video has {known} pixels, so '
                'values do not identify the same objects; save all masks of a video in one format'
            )

    def _check_palette(self, path: Path, ids: NDArray[np.int64], palette: list[int] | None) -> None:
        for index in np.unique(ids).tolist():
            color = tuple((palette or [])[3 * index : 3 * index + 3])
            known, first = self._colors.setdefault(index, (color, path))
            if color != known:
                raise ConversionError(
                    f'{path}: index {index} of its palette has the color {color}, in {first} of '
                    f'the same video {known}, so indices do not identify the same objects; save '
                    'all masks of a video with one palette'
                )

    def _count_edges(self, path: Path, ids: NDArray[np.int64], pixels: NDArray[np.integer]) -> None:
        """Count the pixels of each id that lie between a darker and a brighter neighbor."""
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
        """Check after the last image that no object consists of smoothed edges.

        Raises:
            ConversionError: if there are values that occur only between two others.
        """
        edges = [v for v, n in self._edges.items() if v and n == self._pixels[v]]
        # A thin object between two others is conceivable; its id is then next to theirs.
        values = sorted(self._pixels)
        gaps = [v for v in edges if not {v - 1, v + 1} <= set(values)]
        if gaps or len(edges) > 1:
            shown = ', '.join(map(str, sorted(edges)[:5])) + ', ...' * (len(edges) > 5)
            raise ConversionError(
                f'{self._first_edge[min(edges)]}: the values {shown} occur only between two '
                'others, as smoothed edges do; draw and resize masks without smoothing (nearest '
                'neighbor), or give --binary if black and white mean background and one '
                'object'
            )

    def doubts(self) -> Mapping[int, str]:
        """Return what may be wrong with ids, after the last image, in words."""
        ground = 'fills the border of most masks and is an object; if it is the background, give '
        line = (
            'is a line around the other objects and an object itself; if it means "do not care", '
            'give '
        )
        return {
            **{i: f'{ground}--background' for i in self.shapes.backgrounds()},
            **{i: f'{line}--ignore-ids' for i in self.shapes.lines()},
        }

    def canonical_ids(self) -> Mapping[int, int]:
        """Return the final id of every id that changes: grays of a video without colors."""
        if self._kind is None or self._kind[0] != 'color':
            return {}
        grays = {value: value & 0xFF for value in self._pixels}
        is_gray = all(value == gray * 0x010101 for value, gray in grays.items())
        return grays if is_gray else {}


def _opaque(image: Image.Image) -> NDArray[np.bool_]:
    """Return (H, W) bool: False where the alpha channel makes a pixel transparent."""
    if 'A' not in image.getbands():
        return np.ones(image.size[::-1], dtype=bool)
    return np.asarray(image.getchannel('A')) >= _OPAQUE


def _binary(
    image: Image.Image, opaque: NDArray[np.bool_], path: Path, on_black: bool
) -> NDArray[np.bool_]:
    if not opaque.all():  # a cut-out: the mask is its alpha channel
        return opaque
    if image.mode in _DEEP_MODES:
        values = np.asarray(image).astype(np.float32) / _DEEPEST
    else:
        values = np.asarray(image.convert('L')).astype(np.float32) / _BRIGHTEST
    square = np.ones((3, 3), np.uint8)
    darkest, brightest = cv2.erode(values, square), cv2.dilate(values, square)
    dim = (darkest == brightest) & (values > _BLACK) & (values <= 0.5)  # areas, no edges
    if dim.any():
        y, x = np.argwhere(dim)[0].tolist()
        raise ConversionError(
            f'{path}: the area at x={x}, y={y} is neither black nor white but of brightness '
            f'{values[y, x]:.2f}, and would be background; leave --binary out, so that every value '
            'or color is an object'
        )
    return (values > 0.5) == on_black


def split_objects(ids: NDArray[np.int64]) -> dict[int, RLE]:
    """Return the mask of every object id but 0 in an (H, W) image of ids."""
    return {int(i): encode_mask(ids == i) for i in np.unique(ids) if i != 0}
