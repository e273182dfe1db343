"""Video instance segmentation datasets in the official YouTube-VIS layout."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from numpy.typing import NDArray

from axialvs.datasets.annotations.segmentations import Segmentation
from axialvs.datasets.annotations.youtube_vis import (
    Instance,
    Video,
    VideoAnnotations,
    read_annotations,
)
from axialvs.datasets.classes import LabelMap, match_classes
from axialvs.datasets.clip_dataset import ClipDataset, VideoRecord, VideoRecords
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import compress


class InstanceClipDataset(ClipDataset):
    """Clips with instance masks, from annotations in a JSON file.

    Args:
        ann_file: annotation file, relative to `data_root`.
        clip_length: frames of a clip, T.
        classes: '2019', '2021', '2022', 'ovis', a sequence of names, or None for the categories
            of the file in its order. The label is the index in this list.
        **kwargs: of `ClipDataset`.
    """

    def __init__(
        self,
        ann_file: str,
        clip_length: int,
        classes: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.classes = classes
        super().__init__(ann_file, clip_length, **kwargs)

    def read_records(self) -> VideoRecords:
        """Read the file, match its categories with the classes and keep training targets."""
        annotations = self.read_annotations()
        if annotations.instances is None and not self.test_mode:
            raise AxialVSError(
                f"{self.ann_file}: field 'annotations': is missing or null, so there is nothing "
                'to train on. Set test_mode=True to use the file for testing.'
            )
        labels = self.match_classes(annotations)
        instances = {} if self.test_mode else annotations.instances_by_video()
        return VideoRecords(
            [
                _make_record(video, instances.get(video.id, ()), labels)
                for video in annotations.videos
            ],
            {'classes': labels.classes, 'category_ids': labels.category_ids},
            _count_skipped(annotations.instances or (), labels),
        )

    def read_annotations(self) -> VideoAnnotations:
        """Read the annotation file."""
        raise NotImplementedError

    def match_classes(self, annotations: VideoAnnotations) -> LabelMap:
        """Match the file's categories with the class list."""
        raise NotImplementedError

    def targets_visible(self, record: VideoRecord) -> NDArray[np.bool_]:
        """Return (L,) bool: whether each frame of a video shows a training target."""
        visible = np.zeros(record['length'], dtype=bool)
        for instance in record['instances']:
            if not instance['ignore_flag']:
                visible |= [mask is not None for mask in instance['masks']]
        return visible

    def frame_annotations(self, record: VideoRecord, frame: int) -> dict[str, Any]:
        """Return the instances that are visible in a frame."""
        return {
            'instances': [
                {**instance, 'mask': instance['masks'][frame]}
                for instance in record['instances']
                if instance['masks'][frame] is not None
            ]
        }


@DATASETS.register_module(name='YouTubeVIS')
class YouTubeVISDataset(InstanceClipDataset):
    """YouTube-VIS 2019, 2021, 2022, OVIS, or any dataset in their layout.

    Args:
        ann_file: annotation file, relative to `data_root`.
        clip_length: frames of a clip, T.
        classes: of `InstanceClipDataset`.
        allow_unlisted_categories: whether class list and file may differ. Unmatched categories are
            ignored and counted in the log.
        **kwargs: of `ClipDataset`.
    """

    def __init__(
        self,
        ann_file: str,
        clip_length: int,
        classes: str | Sequence[str] | None = None,
        allow_unlisted_categories: bool = False,
        **kwargs: Any,
    ) -> None:
        self.allow_unlisted_categories = allow_unlisted_categories
        super().__init__(ann_file, clip_length, classes, **kwargs)

    def read_annotations(self) -> VideoAnnotations:
        """Read the annotation file."""
        return read_annotations(self.ann_file)

    def match_classes(self, annotations: VideoAnnotations) -> LabelMap:
        """Match the file's categories with the class list by name."""
        return match_classes(
            annotations.categories, self.classes, self.ann_file, self.allow_unlisted_categories
        )


def _make_record(video: Video, instances: Sequence[Instance], labels: LabelMap) -> VideoRecord:
    """Return the record of a video: visible instances of its classes, and crowds to ignore."""
    kept = []
    for instance in instances:
        label = labels.label_of(instance.category_id)
        if label is None or not instance.visible.any():
            continue
        masks = zip(instance.segmentations, instance.visible, strict=True)
        kept.append(
            {
                'instance_id': instance.id,
                'bbox_label': label,
                'ignore_flag': int(instance.iscrowd),
                'masks': tuple(
                    _compact(mask, video) if visible else None for mask, visible in masks
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


def _compact(segmentation: Segmentation, video: Video) -> Segmentation:
    """Convert list counts to COCO's compressed string."""
    if isinstance(segmentation, dict):
        return compress(segmentation, video.height, video.width)
    return segmentation


def _count_skipped(instances: Sequence[Instance], labels: LabelMap) -> dict[str, int]:
    return {
        'instances of categories that are not a class': sum(
            labels.label_of(instance.category_id) is None for instance in instances
        ),
        'instances that are never visible': sum(
            not instance.visible.any() for instance in instances
        ),
        'crowd instances (ignored in training)': sum(instance.iscrowd for instance in instances),
    }
