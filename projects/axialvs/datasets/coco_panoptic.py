"""COCO's panoptic annotations, each image as a clip of one frame, for pre-training."""

from typing import Any

from mmdet.registry import DATASETS

from axialvs.datasets.annotations.panoptic import read_panoptic_categories
from axialvs.datasets.annotations.schema import JsonRecord, load_json
from axialvs.datasets.annotations.youtube_vis import read_size
from axialvs.datasets.clip_dataset import VideoRecords
from axialvs.datasets.vipseg import PanopticClipDataset, metainfo_of


@DATASETS.register_module(name='CocoPanoptic')
class CocoPanopticDataset(PanopticClipDataset):
    """COCO panoptic in the official layout; an image is a video of one frame.

    Args:
        ann_file: annotation file such as panoptic_train2017.json, relative to `data_root`.
        **kwargs: of `PanopticClipDataset`; `data_prefix` has `img_path` (train2017) and
            `mask_path` (panoptic_train2017).
    """

    unit = 'images'

    def __init__(self, ann_file: str, clip_length: int = 1, **kwargs: Any) -> None:
        super().__init__(ann_file, clip_length, **kwargs)

    def read_records(self) -> VideoRecords:
        """Read the file and keep images with annotations."""
        content = JsonRecord(load_json(self.ann_file), self.ann_file)
        categories = read_panoptic_categories(content)
        labels = {category.id: label for label, category in enumerate(categories)}
        ids: set[int] = set()
        images = {
            image.unique_integer('id', ids): image for image in content.records('images', 'image')
        }
        videos = []
        for record in content.records('annotations', 'annotation', owner='image'):
            image = images[record.reference('image_id', images, 'image')]
            width, height = read_size(image)
            segments = list(record.records('segments_info', 'segment'))
            categories_of = {
                s.integer('id', 1): s.reference('category_id', labels, 'category') for s in segments
            }
            videos.append(
                {
                    'video_id': image.values['id'],
                    'width': width,
                    'height': height,
                    'length': 1,
                    'file_names': [image.text('file_name')],
                    'mask_names': [record.text('file_name')],
                    'segments': [list(categories_of)],
                    'labels': {id_: labels[c] for id_, c in categories_of.items()},
                    'crowds': [s.values['id'] for s in segments if s.flag('iscrowd', False)],
                }
            )
        skipped = {'images without annotations': len(images) - len(videos)}
        return VideoRecords(videos, metainfo_of(categories), skipped)
