"""What is known of a video that is to be drawn: its frames and its annotated objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import path as osp
from typing import Any

import numpy as np

from axialvs.datasets.annotations import Instance, read_annotations
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.tube_iou import Tube


@dataclass(frozen=True)
class OverlaySource:
    """A video of a data set.

    Attributes:
        video_id: Of the annotation file.
        name: What to call it: its id and the folder of its frames.
        paths: Its L image files.
        size: (height, width).
        class_names: Names of the classes.
        objects: The annotated objects, or None where the file has no annotations.
    """

    video_id: int
    name: str
    paths: list[str]
    size: tuple[int, int]
    class_names: Sequence[str]
    objects: 'TrackSet | None'


@dataclass(frozen=True)
class TrackSet:
    """Tracks of a video: n tubes of L frames, and (n,) ids, labels and scores, if any."""

    tubes: Sequence[Tube]
    ids: Sequence[int]
    labels: Sequence[int]
    scores: Sequence[float] | None = None


def evenly(number: int, wanted: int) -> list[int]:
    """At most `wanted` of the indices below `number`, evenly from the first to the last."""
    return np.unique(np.linspace(0, number - 1, min(number, wanted)).round().astype(int)).tolist()


def choose_sources(dataset: Any, wanted: int) -> dict[int, OverlaySource]:
    """Some videos of a test data set by their ids, evenly over it.

    Args:
        dataset: A YouTubeVISDataset in test mode.
        wanted: How many.

    Raises:
        ValueError: The data set is of another kind.
    """
    if not hasattr(dataset, 'clips_by_video'):
        raise ValueError(
            f'OverlayHook draws videos of YouTubeVISDataset, and this is {type(dataset).__name__}; '
            'set videos=0'
        )
    annotations = read_annotations(dataset.ann_file)
    objects = annotations.instances_by_video() if annotations.instances is not None else None
    sources = {}
    for index in evenly(len(dataset.clips_by_video()), wanted):
        record = dataset.get_data_info(index)
        of_video = objects and objects[record['video_id']]
        sources[record['video_id']] = _source(record, of_video, dataset)
    return sources


def _source(
    record: dict[str, Any], instances: Sequence[Instance] | None, dataset: Any
) -> OverlaySource:
    size = record['height'], record['width']
    folder = osp.dirname(record['file_names'][0])
    return OverlaySource(
        video_id=record['video_id'],
        name=f'video {record["video_id"]}' + (f' ({folder})' if folder else ''),
        paths=[osp.join(dataset.data_prefix['img_path'], name) for name in record['file_names']],
        size=size,
        class_names=dataset.metainfo['classes'],
        objects=None if instances is None else _objects(instances, size, dataset),
    )


def _objects(instances: Sequence[Instance], size: tuple[int, int], dataset: Any) -> TrackSet:
    """Objects of the classes, numbered from 1: ids of a file may be long. Crowds are left out."""
    labels = {category: label for label, category in enumerate(dataset.metainfo['category_ids'])}
    learnt = [
        instance
        for instance in instances
        if instance.category_id in labels and not instance.iscrowd
    ]
    return TrackSet(
        tubes=[compressed_tube(instance.segmentations, *size) for instance in learnt],
        ids=range(1, len(learnt) + 1),
        labels=[labels[instance.category_id] for instance in learnt],
    )
