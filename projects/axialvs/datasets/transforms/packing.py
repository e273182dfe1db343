"""Packing of a clip for the model."""

from mmdet.datasets.transforms import PackTrackInputs
from mmdet.registry import TRANSFORMS

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
    """mmdet's packing of a clip, with the meta data that this project reads.

    Returns `inputs`, uint8 (T, 3, H, W) in BGR, and `data_samples`, a TrackDataSample of T
    DetDataSamples. Raw annotations are left out: they would be sent from loader to trainer.

    Args:
        meta_keys: further keys to keep in every frame's `metainfo`.
    """

    def __init__(self, meta_keys: tuple[str, ...] | None = None) -> None:
        super().__init__(meta_keys=meta_keys, default_meta_keys=_META_KEYS)
