"""Reads COCO instance annotations; a still image becomes a video of one frame."""

import os

from axialvs.datasets.annotations.schema import AnnotationError, Place, Record
from axialvs.datasets.annotations.segmentations import read_segmentations
from axialvs.datasets.annotations.youtube_vis import (
    Instance,
    Video,
    VideoAnnotations,
    load_json,
    read_categories,
    read_reference,
)


class StillRecord(Record):
    """An annotation of a still, whose only segmentation stands in the field `segmentation`."""

    def error(self, field: str, problem: str, kind: str = 'layout') -> AnnotationError:
        """The error, under the name that the field has in a COCO file."""
        return super().error(field.replace('segmentations[0]', 'segmentation'), problem, kind)


def read_coco_annotations(path: str | os.PathLike[str]) -> VideoAnnotations:
    """Reads a file in COCO's official instance layout and checks all that is used of it.

    Args:
        path: The JSON file, as `instances_train2017.json`.

    Returns:
        Every image as a video of length 1 with the image's id, every annotation as an instance
        with one segmentation: polygons, or RLE as crowds have it.

    Raises:
        FileNotFoundError: There is no such file.
        AnnotationError: Something in the file is wrong; the message says what and where.
    """
    path = os.fspath(path)
    content = Record(load_json(path), Place(path))
    if 'videos' in content.values:
        raise content.error(
            'videos', 'this is a file of videos; read it with the data set YouTubeVIS'
        )
    categories = read_categories(content)
    images = _read_images(content)
    category_ids = {category.id for category in categories}
    return VideoAnnotations(
        path, categories, tuple(images.values()), _read_instances(content, category_ids, images)
    )


def _read_images(content: Record) -> dict[int, Video]:
    images: dict[int, Video] = {}
    ids: set[int] = set()
    for record in content.records('images', 'image'):
        identifier = record.unique_integer('id', ids)
        width, height = (record.integer(field, minimum=1) for field in ('width', 'height'))
        images[identifier] = Video(identifier, width, height, 1, (record.text('file_name'),))
    return images


def _read_instances(
    content: Record, category_ids: set[int], images: dict[int, Video]
) -> tuple[Instance, ...]:
    ids: set[int] = set()
    instances = []
    for plain in content.records('annotations', 'annotation'):
        record = StillRecord(plain.values, plain.place)
        identifier = record.unique_integer('id', ids)
        image = images[read_reference(record, 'image_id', images, 'image')]
        category_id = read_reference(record, 'category_id', category_ids, 'category')
        entries = [record.get('segmentation')]
        visible = read_segmentations(entries, image.height, image.width, record)
        crowd = record.flag('iscrowd', default=False)
        instances.append(
            Instance(identifier, image.id, category_id, tuple(entries), visible, crowd)
        )
    return tuple(instances)
