"""Pseudo-clips from a moving virtual camera over a still image."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray

from axialvs.utils.errors import AxialVSError

_PER_INSTANCE = ('gt_bboxes_labels', 'gt_instances_ids', 'gt_ignore_flags')


@dataclass(frozen=True, slots=True)
class CameraPose:
    """Pose of the camera in one frame.

    Attributes:
        zoom: 1 for the whole image, 2 for half of its width.
        angle: roll in degrees.
        place: x and y of the window within its range, from -1 to 1; 0 is the center.
        flip: whether the frame is mirrored.
    """

    zoom: float
    angle: float
    place: tuple[float, float]
    flip: bool

    def matrix(self, size: tuple[int, int], out_size: tuple[int, int]) -> NDArray[np.float64]:
        """Return the (2, 3) matrix from pixels of the image to pixels of the frame.

        Args:
            size: (width, height) of the image.
            out_size: (width, height) of the frame, with the same aspect ratio up to rounding.
        """
        room = [0.5 * length * abs(1 - 1 / self.zoom) for length in size]
        center = [
            (length - 1) / 2 + place * free
            for length, place, free in zip(size, self.place, room, strict=True)
        ]
        matrix = cv2.getRotationMatrix2D(center, self.angle, self.zoom * out_size[1] / size[1])
        for axis in range(2):
            matrix[axis, 2] += (out_size[axis] - 1) / 2 - center[axis]
        if self.flip:
            matrix[0] *= -1
            matrix[0, 2] += out_size[0] - 1
        return matrix


@TRANSFORMS.register_module()
class ImageToClip(BaseTransform):
    """Generate T frames of one image, each with its own crop, scale, rotation and optional flip.

    Image and masks are warped by one affine map per frame, so they are interpolated once. Ids and
    labels are the same in every frame; an object outside of a frame has an empty mask there, which
    `FilterEmptyInstances` removes. Independent random poses are common in pre-training (the release
    crops two copies independently and shares the flip, which is the default here); a smooth path
    resembles a video.

    Args:
        short_sides: short side of the frames in pixels; one is drawn per clip.
        zoom: lower and upper bound; below 1 the image does not fill the frame.
        max_angle: largest roll in degrees.
        smooth_prob: fraction of the clips whose camera moves on a straight path at constant speed;
            in the others every frame's pose is drawn independently.
        smooth_reach: fraction of the way between two poses that a smooth path covers.
        flip_prob: probability of a flip.
        flip_per_frame: whether the flip is drawn per frame or per clip.
        fill: BGR color outside of the image; ImageNet's mean by default, which the data
            preprocessor maps to 0.

    Raises:
        AxialVSError: if an argument is out of range.
    """

    def __init__(
        self,
        short_sides: Sequence[int],
        zoom: tuple[float, float] = (1.0, 2.0),
        max_angle: float = 15.0,
        smooth_prob: float = 0.5,
        smooth_reach: float = 0.5,
        flip_prob: float = 0.5,
        flip_per_frame: bool = False,
        fill: tuple[float, float, float] = (104.0, 116.0, 124.0),
    ) -> None:
        self.short_sides = tuple(short_sides)
        if not self.short_sides or min(self.short_sides) < 1:
            raise AxialVSError(
                f'short_sides={short_sides}: needs at least one positive length in pixels.'
            )
        if not 0 < zoom[0] <= zoom[1]:
            raise AxialVSError(f'zoom={zoom}: must be two ascending numbers above 0.')
        for name, value in dict(
            smooth_prob=smooth_prob, smooth_reach=smooth_reach, flip_prob=flip_prob
        ).items():
            if not 0 <= value <= 1:
                raise AxialVSError(f'{name}={value}: must lie between 0 and 1.')
        if not 0 <= max_angle <= 180:
            raise AxialVSError(f'max_angle={max_angle}: must lie between 0 and 180 degrees.')
        self.zoom = zoom
        self.max_angle = max_angle
        self.smooth_prob = smooth_prob
        self.smooth_reach = smooth_reach
        self.flip_prob = flip_prob
        self.flip_per_frame = flip_per_frame
        self.fill = fill

    def transform(self, results: dict) -> dict:
        """Turn the values of one image into lists of T values.

        Args:
            results: `img` (H, W, 3), `gt_masks` of n instances with their labels, ids and flags,
                and `num_frames`, T.
        """
        height, width = results['img'].shape[:2]
        num_frames = results.pop('num_frames')
        short = random.choice(self.short_sides)
        factor = short / min(height, width)
        out_size = max(1, round(width * factor)), max(1, round(height * factor))
        poses = self.draw_poses(num_frames)
        clip: dict[str, list[Any]] = {
            key: [value] * num_frames for key, value in results.items() if key != 'scale_factor'
        }
        matrices = [pose.matrix((width, height), out_size) for pose in poses]
        clip['img'] = [self._frame(results['img'], matrix, out_size) for matrix in matrices]
        clip['gt_masks'] = [_moved(results['gt_masks'], matrix, out_size) for matrix in matrices]
        for key in _PER_INSTANCE:
            clip[key] = [results[key].copy() for _ in poses]
        clip['gt_bboxes'] = [masks.get_bboxes('hbox') for masks in clip['gt_masks']]
        clip['img_shape'] = [out_size[::-1]] * num_frames
        clip['flip'] = [pose.flip for pose in poses]
        clip['flip_direction'] = ['horizontal' if pose.flip else None for pose in poses]
        clip['frame_id'] = list(range(num_frames))
        clip['img_id'] = list(range(num_frames))
        clip['video_length'] = [num_frames] * num_frames
        return clip

    def draw_poses(self, num_frames: int) -> list[CameraPose]:
        """Draw the camera's poses in T frames, from Python's random state."""
        smooth = random.random() < self.smooth_prob
        flips = [random.random() < self.flip_prob for _ in range(num_frames)]
        if not self.flip_per_frame:
            flips = flips[:1] * num_frames
        if not smooth:
            return [self._pose(self._draw(), flip) for flip in flips]
        start, end = self._draw(), self._draw()
        steps = np.linspace(0, self.smooth_reach, num_frames)
        return [
            self._pose(start + step * (end - start), flip)
            for step, flip in zip(steps, flips, strict=True)
        ]

    def _draw(self) -> NDArray[np.float64]:
        """Draw the logarithm of the zoom, the angle, and the place in x and y."""
        log_zoom = random.uniform(*np.log(self.zoom))
        angle = random.uniform(-self.max_angle, self.max_angle)
        return np.array([log_zoom, angle, random.uniform(-1, 1), random.uniform(-1, 1)])

    @staticmethod
    def _pose(drawn: NDArray[np.float64], flip: bool) -> CameraPose:
        log_zoom, angle, x, y = drawn.tolist()
        return CameraPose(float(np.exp(log_zoom)), angle, (x, y), flip)

    def _frame(
        self, image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=self.fill)


def _moved(masks: BitmapMasks, matrix: NDArray[np.float64], size: tuple[int, int]) -> BitmapMasks:
    """Warp masks by a matrix, with nearest neighbor and zeros outside."""
    moved = np.zeros((len(masks), size[1], size[0]), dtype=np.uint8)
    for source, target in zip(masks.masks, moved, strict=True):
        cv2.warpAffine(source, matrix, size, dst=target, flags=cv2.INTER_NEAREST)
    return BitmapMasks(moved, size[1], size[0])
