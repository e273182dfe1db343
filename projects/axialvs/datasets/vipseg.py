"""VIPSeg (video panoptic segmentation) in both of its official layouts."""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import Compose
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import (
    PanopticCategory,
    read_ground_truth,
    read_panoptic_categories,
)
from axialvs.datasets.annotations.schema import JsonRecord, load_json
from axialvs.datasets.clip_dataset import ClipDataset, VideoRecord, VideoRecords
from axialvs.datasets.image_files import image_size, list_images
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import read_utf8


class PanopticClipDataset(ClipDataset):
    """Clips with panoptic labels in PNG files.

    Args:
        ann_file: annotation file, relative to `data_root`.
        clip_length: frames of a clip, T.
        load_pipeline: transforms of a training clip before `pipeline`. If given, a second random
            clip is passed to `pipeline` as `mix_results`, for `ClipCopyPaste`.
        paste_pipeline: transforms of the second clip; None for `load_pipeline`.
        **kwargs: arguments of `ClipDataset`; `data_prefix` has `img_path` and `mask_path`.
    """

    def __init__(
        self,
        ann_file: str,
        clip_length: int,
        load_pipeline: list | None = None,
        paste_pipeline: list | None = None,
        **kwargs: Any,
    ) -> None:
        self.load_pipeline = None if load_pipeline is None else Compose(load_pipeline)
        self.paste_pipeline = Compose(paste_pipeline) if paste_pipeline else self.load_pipeline
        super().__init__(ann_file, clip_length, **kwargs)

    def targets_visible(self, record: VideoRecord) -> NDArray[np.bool_]:
        """Return (L,) bool: whether each frame of a video has a segment that is not a crowd."""
        segments = record['segments']
        if segments is None:  # only known from the panomasks
            return np.ones(record['length'], dtype=bool)
        return np.array([bool(set(ids) - set(record['crowds'])) for ids in segments], dtype=bool)

    def frame_annotations(self, record: VideoRecord, frame: int) -> dict[str, Any]:
        """Return the inputs of `LoadPanopticLabels`."""
        name = record['mask_names'][frame]
        return {
            'panoptic_path': os.path.join(self.data_prefix.get('mask_path', ''), name),
            'segment_labels': record['labels'],
            'crowds': record['crowds'],
            'is_panomask': record['segments'] is None,
            'thing_labels': self.metainfo['thing_labels'],
        }

    def prepare_data(self, idx: int) -> Any:
        """Run the pipelines on a clip, with a second clip if there is a `load_pipeline`."""
        if self.load_pipeline is None or self.test_mode:
            return super().prepare_data(idx)
        clip = self.load_pipeline(self.clip_at(idx))
        other = self.paste_pipeline(self.clip_at(random.randrange(len(self))))
        if clip is None or other is None:
            return None
        return self.pipeline({**clip, 'mix_results': [other]})


def metainfo_of(categories: tuple[PanopticCategory, ...]) -> dict[str, Any]:
    """Return classes in the order of the file; the label is the index."""
    return {
        'classes': tuple(category.name for category in categories),
        'category_ids': tuple(category.id for category in categories),
        'thing_labels': tuple(i for i, category in enumerate(categories) if category.isthing),
    }


@DATASETS.register_module(name='VIPSeg')
class VIPSegDataset(PanopticClipDataset):
    """VIPSeg in the 720P layout with a JSON file, or in the original layout.

    In the 720P layout, `ann_file` is a JSON file such as panoptic_gt_VIPSeg_train.json, with the
    folders `images` and `panomasksRGB`. In the original layout, it is a list of videos such as
    train.txt, with the folders `imgs` and `panomasks`, and `categories_file` is
    panoVIPSeg_categories.json. Pixels of `panomasks` are category id + 1 for stuff and
    100 (category id + 1) + instance for things; 0 and, by a known error of the dataset, 200 are
    void.

    Args:
        ann_file: annotation file or list of videos, relative to `data_root`.
        clip_length: frames of a clip, T.
        categories_file: JSON list of categories, relative to `data_root`; only for a list of
            videos.
        **kwargs: of `PanopticClipDataset`.
    """

    def __init__(
        self, ann_file: str, clip_length: int, categories_file: str | None = None, **kwargs: Any
    ) -> None:
        self.categories_file = categories_file
        super().__init__(ann_file, clip_length, **kwargs)

    def read_records(self) -> VideoRecords:
        """Read the file or the list."""
        if self.ann_file.endswith('.json'):
            return self._read_json()
        return self._read_list()

    def _read_json(self) -> VideoRecords:
        gt = read_ground_truth(self.ann_file, self.data_prefix['mask_path'])
        labels = {category.id: label for label, category in enumerate(gt.categories)}
        videos = []
        for video in gt.videos:
            names = [f'{video.id}/{Path(name).stem}.jpg' for name in video.file_names]
            width, height = video.size or image_size(self._image_path(names[0]))
            videos.append(
                {
                    'video_id': video.id,
                    'width': width,
                    'height': height,
                    'length': len(names),
                    'file_names': names,
                    'mask_names': [f'{video.id}/{name}' for name in video.file_names],
                    'segments': [sorted(ids) for ids in video.segments],
                    'labels': {id_: labels[c] for id_, c in video.categories.items()},
                    'crowds': sorted(video.crowds),
                }
            )
        return VideoRecords(videos, metainfo_of(gt.categories), {})

    def _read_list(self) -> VideoRecords:
        if self.categories_file is None:
            raise AxialVSError(
                f'{self.ann_file}: a list of videos needs categories_file, the '
                'panoVIPSeg_categories.json of the dataset'
            )
        path = os.path.join(self.data_root or '', self.categories_file)
        categories = read_panoptic_categories(JsonRecord({'categories': load_json(path)}, path))
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(f'{self.ann_file}: no such list of videos')
        videos = []
        for name in read_utf8(self.ann_file).split():
            folder = Path(self.data_prefix['img_path'], name)
            images = list_images(folder) if folder.is_dir() else []
            if not images:
                raise FileNotFoundError(f'{folder}: no such folder, or it has no images')
            width, height = image_size(images[0])
            videos.append(
                {
                    'video_id': name,
                    'width': width,
                    'height': height,
                    'length': len(images),
                    'file_names': [f'{name}/{image.name}' for image in images],
                    'mask_names': [f'{name}/{image.stem}.png' for image in images],
                    'segments': None,
                    'labels': {c.id: label for label, c in enumerate(categories)},
                    'crowds': [],
                }
            )
        return VideoRecords(videos, metainfo_of(categories), {})
