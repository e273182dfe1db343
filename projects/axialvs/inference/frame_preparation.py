"""Convert video frames to the network's input by the transforms of a test pipeline."""

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from torch import Tensor, nn

from axialvs.clips import SplitMode
from axialvs.inference.readers import VideoReadError
from axialvs.structures import ImageShapes, Size


class Segmenter(Protocol):
    """Interface of a model for inference."""

    clip_length: int | None
    split_mode: SplitMode
    test_cfg: Any
    test_pipeline: Sequence[dict]
    data_preprocessor: nn.Module

    def image_shapes(
        self, batch_input_shape: Size, img_shape: Size, ori_shape: Size
    ) -> ImageShapes:
        """Return the shapes of a frame, with the head's resize mode."""


# Transforms of a test pipeline that load or pack a sample and do not change the image.
_SAMPLE_STEPS = ('Load', 'Pack')


class FramePreparation:
    """Apply the image transforms of a test pipeline and the model's data preprocessor.

    Args:
        segmenter: model with both.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        steps = [
            step
            for wrapper in segmenter.test_pipeline
            for step in wrapper.get('transforms', [wrapper])
        ]
        kept = [step for step in steps if not step['type'].startswith(_SAMPLE_STEPS)]
        self._transforms = Compose([TRANSFORMS.build(step) for step in kept])

    def __call__(self, images: Sequence[np.ndarray]) -> tuple[Tensor, ImageShapes]:
        """Prepare the frames of a clip.

        Args:
            images: T frames (H, W, 3), RGB uint8, of one size.

        Returns:
            (T, 3, H, W), normalized and padded, on the model's device, and the shapes.

        Raises:
            VideoReadError: if the frames are too narrow to be resized.
        """
        resized = [self._resize(image) for image in images]
        stacked = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
        preprocess = self._segmenter.data_preprocessor
        batch = preprocess({'inputs': [stacked], 'data_samples': None})['inputs']
        height, width = batch.shape[-2:]
        return batch[0], self._segmenter.image_shapes(
            (height, width), resized[0].shape[:2], images[0].shape[:2]
        )

    def _resize(self, image: np.ndarray) -> np.ndarray:
        sample = {
            'img': np.ascontiguousarray(image[..., ::-1]),
            'img_shape': image.shape[:2],
            'ori_shape': image.shape[:2],
        }
        try:
            return np.ascontiguousarray(self._transforms(sample)['img'])
        except cv2.error as error:
            height, width = image.shape[:2]
            raise VideoReadError(
                f'frames of {width}x{height} pixels are too narrow: resized for the network, one '
                'side is shorter than a pixel; crop the video'
            ) from error
