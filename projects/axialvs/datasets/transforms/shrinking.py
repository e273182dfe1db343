"""Reduction of large frames only."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import Resize
from mmdet.registry import TRANSFORMS

from axialvs.utils.errors import AxialVSError


@TRANSFORMS.register_module()
class ShrinkToFit(BaseTransform):
    """Resize frames that exceed a size with the same aspect ratio; never enlarge.

    Other than in mmdet's `Resize`, width is compared with width and height with height, so a
    portrait frame is not turned: Video-kMaX's networks have a size for each axis.

    Args:
        scale: (width, height) that frames must fit.

    Raises:
        AxialVSError: if a length is below 1.
    """

    def __init__(self, scale: tuple[int, int]) -> None:
        if min(scale) < 1:
            raise AxialVSError(f'scale={scale}: width and height of at least 1 pixel are needed.')
        self.scale = tuple(scale)

    def transform(self, results: dict) -> dict:
        """Resize `img` (H, W, 3), masks and boxes."""
        size = np.array(results['img'].shape[1::-1])
        factor = float((np.array(self.scale) / size).min())
        if factor >= 1:
            return results
        fitted = np.maximum(1, np.rint(factor * size)).astype(int)
        return Resize(scale=tuple(fitted.tolist()), keep_ratio=False).transform(results)
