"""Brings frames from a video file into the form that a config's test pipeline gives the network."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmengine import Config
from torch import Tensor, nn

from axialvs.structures import FrameGeometry

# What reads or packs a data set's sample; the steps in between change the picture.
_SAMPLE_STEPS = ('Load', 'Pack')


class FramePreparation:
    """The picture steps of a test pipeline and the model's own normalisation and padding.

    Args:
        pipeline: the test pipeline of a config.
        preprocessor: the model's data preprocessor, which expects BGR.
    """

    def __init__(self, pipeline: Sequence[dict], preprocessor: nn.Module) -> None:
        steps = [step for wrapper in pipeline for step in wrapper.get('transforms', [wrapper])]
        kept = [step for step in steps if not step['type'].startswith(_SAMPLE_STEPS)]
        self._transforms = Compose([TRANSFORMS.build(step) for step in kept])
        self._preprocessor = preprocessor

    @classmethod
    def from_config(cls, config: Config, preprocessor: nn.Module) -> 'FramePreparation':
        """The preparation that the config's test data set uses."""
        return cls(config.test_dataloader.dataset.pipeline, preprocessor)

    def __call__(self, images: Sequence[np.ndarray]) -> tuple[Tensor, FrameGeometry]:
        """Prepares the frames of a clip.

        Args:
            images: T frames (H, W, 3), RGB uint8, of one size.

        Returns:
            (T, 3, H, W), normalised and padded, on the model's device, and the frames' sizes.
        """
        resized = [self._resize(image) for image in images]
        stacked = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
        batch = self._preprocessor({'inputs': [stacked], 'data_samples': None})['inputs']
        return batch[0], FrameGeometry(
            tuple(batch.shape[-2:]), resized[0].shape[:2], images[0].shape[:2]
        )

    def _resize(self, image: np.ndarray) -> np.ndarray:
        sample = {
            'img': np.ascontiguousarray(image[..., ::-1]),
            'img_shape': image.shape[:2],
            'ori_shape': image.shape[:2],
        }
        return np.ascontiguousarray(self._transforms(sample)['img'])
