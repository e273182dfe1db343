"""Pseudo-videos: training clips from COCO images with instances or panoptic segments."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.registry import DATASETS
from mmengine.logging import print_log

from axialvs.datasets.annotations.coco import read_coco_annotations
from axialvs.datasets.annotations.panoptic import read_panoptic_categories
from axialvs.datasets.annotations.schema import JsonRecord, load_json
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations, read_size
from axialvs.datasets.classes import CocoLabelMap, match_coco_classes
from axialvs.datasets.clip_dataset import VideoRecord, VideoRecords
from axialvs.datasets.vipseg import PanopticClipDataset, metainfo_of
from axialvs.datasets.youtube_vis import InstanceClipDataset
from axialvs.utils.errors import AxialVSError


@DATASETS.register_module(name='CocoClips')
class CocoClipsDataset(InstanceClipDataset):
    """COCO instance annotations in the official layout, as training clips of a video dataset.

    A sample is made from one image. The pipeline loads it once, by `LoadFrame` and
    `LoadClipAnnotations` without `TransformBroadcaster`; `ImageToClip` generates the frames, and
    the usual transforms of clips follow. Images without an object are skipped; crowds are ignored.

    Args:
        ann_file: annotation file, relative to `data_root`.
        clip_length: frames of a clip, T.
        classes: class list of the video dataset, as `YouTubeVIS` takes it; None for COCO's own.
        synonyms: class or classes of further COCO names, see `match_coco_classes`.
        **kwargs: of `ClipDataset`, without the test mode.
    """

    unit = 'images'

    def __init__(
        self,
        ann_file: str,
        clip_length: int,
        classes: str | Sequence[str] | None = None,
        synonyms: Mapping[str, str | Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get('test_mode'):
            raise AxialVSError('CocoClips is for training only; remove test_mode=True.')
        self.synonyms = synonyms
        super().__init__(ann_file, clip_length, classes, **kwargs)

    def read_annotations(self) -> VideoAnnotations:
        """Read the annotation file."""
        return read_coco_annotations(self.ann_file)

    def match_classes(self, annotations: VideoAnnotations) -> CocoLabelMap:
        """Match COCO's categories with the class list by name and by synonyms."""
        labels = match_coco_classes(
            annotations.categories, self.classes, self.ann_file, self.synonyms
        )
        print_log(
            f'{self.ann_file}: {len(labels.labels)} of {len(annotations.categories)} categories '
            f'are mapped to {len(set(labels.labels.values()))} of {len(labels.classes)} classes. '
            f'Dropped: {", ".join(labels.dropped) or "none"}.',
            logger='current',
        )
        return labels

    def _training_starts(self, record: VideoRecord) -> Sequence[int]:
        return [0] if self.targets_visible(record).any() or not self.filter_empty else []

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on the image; None if no training target is left."""
        record = self.get_data_info(self._clip_videos[idx])
        image = {key: values[0] for key, values in self.clip_values(record, [0]).items()}
        return self.pipeline({**image, 'num_frames': self.num_frames})


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
