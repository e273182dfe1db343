"""Colour distortion that keeps images in 8 bits."""

import numpy as np
from mmdet.datasets.transforms import PhotoMetricDistortion
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ClipPhotoMetricDistortion(PhotoMetricDistortion):
    """mmdet's colour distortion, clipped and rounded back to uint8.

    The clip stays uint8 from the file to the data preprocessor: a quarter of the bytes between
    loader workers and the training process, and values in the range of real images.
    """

    def transform(self, results: dict) -> dict:
        """Distort `img` (H, W, 3)."""
        results = super().transform(results)
        results['img'] = np.clip(np.rint(results['img']), 0, 255).astype(np.uint8)
        return results
