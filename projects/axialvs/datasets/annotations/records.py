"""Turns annotations into what a data set keeps of each video, and a record into a clip."""

from collections.abc import Sequence
from os import path as osp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from axialvs.clips import Clip
from axialvs.datasets.annotations.segmentations import Segmentation
from axialvs.datasets.annotations.youtube_vis import Instance, Video
from axialvs.datasets.classes import LabelMap

VideoRecord = dict[str, Any]


def make_record(video: Video, instances: Sequence[Instance], labels: LabelMap) -> VideoRecord:
    """What is kept of a video: plain values that are quick to pickle.

    Instances of categories that are no class, and those that are never visible, are left out.
    A crowd's instances stay, flagged to be ignored.
    """
    kept = []
    for instance in instances:
        label = labels.label_of(instance.category_id)
        if label is not None and instance.visible.any():
            kept.append(
                {
                    'instance_id': instance.id,
                    'bbox_label': label,
                    'ignore_flag': int(instance.iscrowd),
                    'masks': tuple(
                        _compact(segmentation) if visible else None
                        for segmentation, visible in zip(
                            instance.segmentations, instance.visible, strict=True
                        )
                    ),
                }
            )
    return {
        'video_id': video.id,
        'width': video.width,
        'height': video.height,
        'length': video.length,
        'file_names': video.file_names,
        'instances': kept,
    }


def _compact(segmentation: Segmentation | None) -> Segmentation | None:
    """The segmentation with list counts written as COCO's compressed string."""
    if not isinstance(segmentation, dict) or isinstance(segmentation['counts'], str):
        return segmentation
    rle = mask_utils.frPyObjects(segmentation, *segmentation['size'])
    return {'size': segmentation['size'], 'counts': rle['counts'].decode('ascii')}


def targets_visible(record: VideoRecord) -> NDArray[np.bool_]:
    """(L,) bool: whether a frame shows an instance that is to be learnt."""
    visible = np.zeros(record['length'], dtype=bool)
    for instance in record['instances']:
        if not instance['ignore_flag']:
            visible |= [mask is not None for mask in instance['masks']]
    return visible


def clip_of(record: VideoRecord, frames: Sequence[int], img_prefix: str) -> dict[str, list[Any]]:
    """Frames of a video as mmcv's TransformBroadcaster wants them: a list of T values a key.

    Args:
        record: The video.
        frames: T frame indices; one may stand twice.
        img_prefix: Folder that the file names are relative to.
    """
    num_frames = len(frames)
    return {
        'img_path': [osp.join(img_prefix, record['file_names'][frame]) for frame in frames],
        'img_id': list(frames),  # mmdet's packing counts them
        'frame_id': list(frames),
        'instances': [_instances_of(record, frame) for frame in frames],
        **{key: [record[key]] * num_frames for key in ('video_id', 'height', 'width')},
        'video_length': [record['length']] * num_frames,
    }


def _instances_of(record: VideoRecord, frame: int) -> list[dict[str, Any]]:
    return [
        {**instance, 'mask': instance['masks'][frame]}
        for instance in record['instances']
        if instance['masks'][frame] is not None
    ]


def evaluation_clip_of(record: VideoRecord, clip: Clip, img_prefix: str) -> dict[str, list[Any]]:
    """A clip of a test: as `clip_of`, without ground truth, with its place in the video."""
    values = clip_of(record, clip.frame_indices(), img_prefix)
    del values['instances']
    is_last = clip.start + clip.num_frames == record['length']
    return {
        **values,
        'clip_start': [clip.start] * clip.length,
        'clip_is_last': [is_last] * clip.length,
        'num_padded_frames': [clip.num_padded] * clip.length,
    }
