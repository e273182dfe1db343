"""Pseudo-clips: COCO's still images, from which a pipeline makes clips of T frames."""

from collections.abc import Mapping, Sequence
from os import path as osp
from typing import Any

from mmdet.registry import DATASETS
from mmengine.logging import print_log

from axialvs.datasets.annotations.coco import read_coco_annotations
from axialvs.datasets.annotations.records import VideoRecord, clip_of, targets_visible
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations
from axialvs.datasets.classes import CocoLabelMap, match_coco_classes
from axialvs.datasets.youtube_vis import YouTubeVISDataset
from axialvs.utils.errors import AxialVSError


@DATASETS.register_module(name='CocoClips')
class CocoClipsDataset(YouTubeVISDataset):
    """COCO instance annotations in the official layout, as training clips of a video data set.

    A sample is made of one image. The pipeline sees it once: `LoadFrame` and
    `LoadClipAnnotations` without `TransformBroadcaster`, then `ImageToClip`, which makes the T
    frames, then what any clip goes through. Images without an object of a class are left out;
    crowds are flagged to be ignored.

    Args:
        ann_file: Annotation file, relative to `data_root`.
        clip_length: Frames of a clip, T.
        classes: Class list of the video data set, as `YouTubeVIS` takes it; None for COCO's own.
        synonyms: COCO name -> class or classes, beyond and before `coco_classes`' tables.
        **kwargs: As `YouTubeVIS` takes them; there is no test mode.

    Attributes:
        dropped_categories: Names of the COCO categories that stand for no class.

    Raises:
        AnnotationError: Something is wrong in the file.
        FileNotFoundError: The file, or an image, is missing.
        ValueError: An argument is wrong, or there is nothing to train on.
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
            raise AxialVSError('CocoClips is for training only: a still image is no test video.')
        self.synonyms = synonyms
        self.dropped_categories: tuple[str, ...] = ()
        super().__init__(ann_file=ann_file, clip_length=clip_length, classes=classes, **kwargs)

    def _read_annotations(self) -> VideoAnnotations:
        return read_coco_annotations(self.ann_file)

    def _match_classes(self, annotations: VideoAnnotations) -> CocoLabelMap:
        labels = match_coco_classes(
            annotations.categories, self.classes, self.ann_file, self.synonyms
        )
        self.dropped_categories = labels.dropped
        print_log(
            f'{self.ann_file}: {len(labels.labels)} of {len(annotations.categories)} categories '
            f'stand for {len(set(labels.labels.values()))} of {len(labels.classes)} classes. '
            f'Dropped: {", ".join(labels.dropped) or "none"}.',
            logger='current',
        )
        return labels

    def _training_starts(self, record: VideoRecord) -> Sequence[int]:
        return [0] if targets_visible(record).any() or not self.filter_empty else []

    def prepare_data(self, idx: int) -> Any:
        """Runs the pipeline on the image; None where that leaves no training target."""
        record = self.get_data_info(self._clip_videos[idx])
        still = {key: values[0] for key, values in clip_of(record, [0], '').items()}
        still['img_path'] = osp.join(self.data_prefix['img_path'], record['file_names'][0])
        return self.pipeline({**still, 'clip_length': self.clip_length})
