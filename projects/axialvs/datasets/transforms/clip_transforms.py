"""Transforms of frames and clips: color distortion, shrinking, filtering of instances, packing."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackTrackInputs, PhotoMetricDistortion, Resize
from mmdet.registry import TRANSFORMS

from axialvs.utils.errors import AxialVSError


@TRANSFORMS.register_module()
class ClipPhotoMetricDistortion(PhotoMetricDistortion):
    """mmdet's color distortion, clipped and rounded back to uint8.

    The clip stays uint8 until the data preprocessor, which quarters the transfer from dataloader
    workers and keeps values in the range of images.
    """

    def transform(self, results: dict) -> dict:
        """Distort `img` (H, W, 3)."""
        results = super().transform(results)
        results['img'] = np.clip(np.rint(results['img']), 0, 255).astype(np.uint8)
        return results


@TRANSFORMS.register_module()
class ShrinkToFit(BaseTransform):
    """Shrink frames that exceed a size, keeping the aspect ratio; never enlarge.

    Unlike in mmdet's `Resize`, width is compared with width and height with height, also for
    portrait frames, because Video-kMaX has a fixed size for each axis.

    Args:
        scale: maximum (width, height).

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


@TRANSFORMS.register_module()
class FilterEmptyInstances(BaseTransform):
    """Remove instances from frames where their mask is empty, and update boxes.

    Works on a whole clip (lists of T entries), after `TransformBroadcaster`. An instance that is
    removed from some frames keeps its id and label in the others. Panoptic clips get
    `gt_is_thing`.
    """

    def transform(self, results: dict) -> dict | None:
        """Filter the clip; return None to redraw it if no training target is left."""
        num_targets = 0
        for frame, masks in enumerate(results['gt_masks']):
            kept = np.flatnonzero(masks.areas)
            masks = masks[kept]
            results['gt_masks'][frame] = masks
            results['gt_bboxes'][frame] = masks.get_bboxes('hbox').numpy()
            for key in ('gt_bboxes_labels', 'gt_instances_ids', 'gt_ignore_flags'):
                results[key][frame] = results[key][frame][kept]
            num_targets += int((~results['gt_ignore_flags'][frame]).sum())
        if 'thing_labels' in results:
            labels = zip(results['gt_bboxes_labels'], results['thing_labels'], strict=True)
            results['gt_is_thing'] = [np.isin(of_frame, things) for of_frame, things in labels]
        return results if num_targets else None


_META_KEYS = (
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'video_id',
    'frame_id',
    'video_length',
    'clip_start',
    'clip_is_last',
    'num_padded_frames',
)


@TRANSFORMS.register_module()
class PackClip(PackTrackInputs):
    """mmdet's packing of a clip, with the metadata that this project needs.

    Returns `inputs`, uint8 (T, 3, H, W) in BGR, and `data_samples`, a TrackDataSample of T
    DetDataSamples. Raw annotations are dropped, to not transfer them between processes.

    Args:
        meta_keys: further keys of every frame's `metainfo`.
    """

    def __init__(self, meta_keys: tuple[str, ...] | None = None) -> None:
        super().__init__(meta_keys=meta_keys, default_meta_keys=_META_KEYS)
