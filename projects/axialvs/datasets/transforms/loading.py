"""Load a video's frame and its masks, with errors that name file, video and frame."""

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadTrackAnnotations
from mmdet.registry import TRANSFORMS

from axialvs.datasets.image_files import is_truncated_jpeg
from axialvs.utils.errors import AxialVSError

_REMEDY = 'Restore it, then resume from the last checkpoint with --resume'


@TRANSFORMS.register_module()
class LoadFrame(LoadImageFromFile):
    """mmcv's image loader for one frame of a video whose size is known.

    Reads `img_path`, `video_id`, `height` and `width`; the frame is uint8 (H, W, 3) in BGR.
    """

    def transform(self, results: dict) -> dict:
        """Load the frame.

        Raises:
            FileNotFoundError: if the image is missing.
            AxialVSError: if it cannot be decoded, is truncated, or has a different size than in the
                annotation file.
        """
        path, video = results['img_path'], results['video_id']
        place = (
            f'video {video}, frame {results["frame_id"]}'
            if 'frame_id' in results
            else f'video {video}'
        )
        try:
            results = super().transform(results)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{path}: no such image ({place}). Check data_root and data_prefix. {_REMEDY}'
            ) from error
        except Exception as error:
            raise AxialVSError(
                f'{path}: not a readable image, or truncated ({place}). {_REMEDY}'
            ) from error
        if is_truncated_jpeg(path):
            raise AxialVSError(f'{path}: the JPEG image is truncated ({place}). {_REMEDY}')
        expected = (results['height'], results['width'])
        if results['img'].shape[:2] != expected:
            raise AxialVSError(
                f'{path}: the image has (height, width) {results["img"].shape[:2]}, but its video '
                f'{video} has {expected} in the annotation file.'
            )
        results['scale_factor'] = (1.0, 1.0)  # for pipelines that do not resize
        return results


@TRANSFORMS.register_module()
class LoadClipAnnotations(LoadTrackAnnotations):
    """mmdet's loader of masks, labels and instance ids, with boxes computed from the masks.

    Boxes in annotation files may be missing or wrong. They are not training targets: crops use them
    to select objects.
    """

    def __init__(self) -> None:
        super().__init__(with_bbox=False, with_label=True, with_mask=True)

    def transform(self, results: dict) -> dict:
        """Add `gt_masks`, `gt_bboxes`, `gt_bboxes_labels`, `gt_instances_ids`, ignore flags."""
        results = super().transform(results)
        results['gt_bboxes'] = results['gt_masks'].get_bboxes('hbox')
        return results

    def _load_instances_ids(self, results: dict) -> None:
        # Ids in a file can be large; mmdet's int32 would overflow.
        results['gt_instances_ids'] = np.array(
            [instance['instance_id'] for instance in results['instances']], dtype=np.int64
        )
