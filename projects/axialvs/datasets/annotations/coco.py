"""Annotation files in COCO's instance layout; an image is read as a video of one frame."""

import os
from collections.abc import Mapping

from axialvs.datasets.annotations.schema import JsonRecord, OnError, load_json
from axialvs.datasets.annotations.segmentations import check_segmentations
from axialvs.datasets.annotations.youtube_vis import (
    Instance,
    Video,
    VideoAnnotations,
    read_categories,
    read_size,
)


def read_coco_annotations(
    path: str | os.PathLike[str], on_error: OnError | None = None
) -> VideoAnnotations:
    """Read a file in COCO's official instance layout, such as `instances_train2017.json`.

    Every image becomes a video of length 1 with the image's id, every annotation an instance with
    one segmentation: polygons, or RLE for crowds. Training uses neither boxes nor areas, so they
    are only read if errors are collected.

    Args:
        path: the JSON file.
        on_error: called with every error instead of raising the first; valid records are returned.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if something in the file is wrong.
    """
    path = os.fspath(path)
    content = JsonRecord(load_json(path), path, on_error=on_error)
    if 'videos' in content.values:
        content.fail('videos', 'this is a file of videos; read it with the dataset YouTubeVIS')
    categories = read_categories(content)
    image_ids: set[int] = set()
    images = _read_images(content, image_ids)
    instances = None
    if 'annotations' in content.values or on_error is None:
        instances = _read_instances(content, {c.id for c in categories}, image_ids, images)
    return VideoAnnotations(path, tuple(categories), tuple(images.values()), instances, True)


def _read_images(content: JsonRecord, ids: set[int]) -> dict[int, Video]:
    """Read the images; add all their ids to `ids`, including those of invalid images."""
    images: dict[int, Video] = {}
    for record in content.records('images', 'image'):
        identifier, name = record.unique_integer('id', ids), record.text('file_name')
        width, height = read_size(record)
        if None not in (identifier, width, height) and identifier not in images:
            images[identifier] = Video(identifier, width, height, 1, (name,) if name else ())
    return images


def _read_instances(
    content: JsonRecord,
    category_ids: set[int],
    image_ids: set[int],
    images: Mapping[int, Video],
) -> tuple[Instance, ...]:
    ids: set[int] = set()
    instances = []
    for record in content.records('annotations', 'annotation', owner='image'):
        record.unique_integer('id', ids)
        image_id = record.reference('image_id', image_ids, 'image')
        category_id = record.reference('category_id', category_ids, 'category')
        if image_id not in images:
            continue
        image, entries = images[image_id], [record.get('segmentation')]
        masks = check_segmentations(record, entries, image.height, image.width, 'segmentation')
        box, area = None, None
        if record.on_error is not None:
            box, area = _optional(record, 'bbox', 4), _optional(record, 'area', 1)
        instances.append(
            Instance(
                record.values.get('id', -1),
                image_id,
                category_id,
                masks.entries,
                masks.visible,
                record.flag('iscrowd', default=False),
                None if area is None else (area,),
                None if box is None else (box,),
                masks.broken,
            )
        )
    return tuple(instances)


def _optional(record: JsonRecord, field: str, count: int) -> object:
    value = record.values.get(field)
    return value if value is not None and record.numbers(field, value, count) else None
