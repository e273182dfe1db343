"""Video instance segmentation data sets in the official YouTube-VIS layout."""

import os
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from axialvs.clips import SplitMode, sample_frames, split_video, start_frames
from axialvs.datasets.annotations.records import (
    VideoRecord,
    clip_of,
    evaluation_clip_of,
    make_record,
    targets_visible,
)
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations, read_annotations
from axialvs.datasets.classes import LabelMap, match_classes
from axialvs.datasets.sample_index import SampleIndex
from axialvs.datasets.seeding import random_state
from axialvs.utils.errors import AxialVSError

_TRIES_PER_CLIP = 5


@DATASETS.register_module(name='YouTubeVIS')
class YouTubeVISDataset(BaseDataset):
    """YouTube-VIS 2019, 2021, 2022, OVIS, or any data set in their layout.

    In training a sample is a clip of T frames; there is one index a start frame whose clip shows
    an object. In test mode a sample is one clip of one video; indices run through the clips of
    all videos in order. Nothing is kept on the class, so several versions live side by side.

    Args:
        ann_file: Annotation file, relative to `data_root`.
        clip_length: Frames of a clip, T.
        classes: '2019', '2021', '2022', 'ovis', a sequence of names, or None for the categories
            of the file in its order. The label is the index in this list.
        frame_range: 0 for T consecutive frames; r > 0 for frames within r of the key frame, of
            which there must be T at least.
        filter_empty: Leave out start frames whose clip shows no object (training only).
        split_mode: How a test video is cut into clips, see `split_video`.
        allow_unlisted_categories: Whether class list and file may differ. What does not match is
            left out and counted in the log.
        check_images: Look for all image files when the data set is built.
        seed: For indices that do not come from `InfiniteClipSampler`, which carry the run's.
        max_redraws: How often a training clip of which the crop left no object is drawn anew.
        data_prefix: `img_path` is the folder that file names are relative to.
        **kwargs: mmengine's BaseDataset's: data_root, pipeline, test_mode, indices, ...

    Raises:
        AnnotationError: Something is wrong in the file.
        FileNotFoundError: The file, or an image, is missing.
        ValueError: An argument is wrong, or there is nothing to train on.
    """

    unit = 'videos'  # what a record is, in messages

    def __init__(
        self,
        ann_file: str,
        clip_length: int,
        classes: str | Sequence[str] | None = None,
        frame_range: int | None = 0,
        filter_empty: bool = True,
        split_mode: SplitMode = 'repeat_last',
        allow_unlisted_categories: bool = False,
        check_images: bool = False,
        seed: int = 0,
        max_redraws: int = 100,
        data_prefix: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.clip_length = clip_length
        self.frame_range = frame_range or 0
        if clip_length < 1 or self.frame_range < 0:
            raise AxialVSError(f'clip_length={clip_length}, frame_range={frame_range}: too small.')
        if self.frame_range and 2 * self.frame_range < clip_length - 1:
            raise AxialVSError(
                f'frame_range={frame_range} holds {2 * self.frame_range + 1} frames, fewer than '
                f'clip_length={clip_length}. Give a larger range, or 0 for consecutive frames.'
            )
        self.classes = classes
        self.filter_empty = filter_empty
        self.split_mode = split_mode
        self.allow_unlisted_categories = allow_unlisted_categories
        self.check_images = check_images
        self.seed = seed
        self.max_redraws = max_redraws
        super().__init__(ann_file=ann_file, data_prefix=data_prefix or {'img_path': ''}, **kwargs)

    def load_data_list(self) -> list[VideoRecord]:
        """Reads the file; one record a video."""
        annotations = self._read_annotations()
        if annotations.instances is None and not self.test_mode:
            raise AxialVSError(
                f"{self.ann_file}: field 'annotations': is missing or null, so there is nothing "
                'to train on. Set test_mode=True to use the file for testing.'
            )
        labels = self._match_classes(annotations)
        self._metainfo.update(classes=labels.classes, category_ids=labels.category_ids)
        instances = {} if self.test_mode else annotations.instances_by_video()
        self._skipped = Counter(_count_skipped(annotations, labels))
        return [
            make_record(video, instances.get(video.id, ()), labels) for video in annotations.videos
        ]

    def _read_annotations(self) -> VideoAnnotations:
        return read_annotations(self.ann_file)

    def _match_classes(self, annotations: VideoAnnotations) -> LabelMap:
        return match_classes(
            annotations.categories, self.classes, self.ann_file, self.allow_unlisted_categories
        )

    def filter_data(self) -> list[VideoRecord]:
        """Builds the index of clips and drops the videos that have none."""
        records = self.data_list
        if self._indices is not None:
            records = self._get_unserialized_subset(self._indices)
            self._indices = None  # taken here: the index below belongs to these records
        if self.check_images:
            self._find_images(records)
        if self.test_mode:
            starts = [[clip.start for clip in self._split(record)] for record in records]
        else:
            starts = [self._training_starts(record) for record in records]
            self._skipped[f'{self.unit} without a clip that shows an object'] += sum(
                len(of_video) == 0 for of_video in starts
            )
        kept = [index for index, of_video in enumerate(starts) if len(of_video)]
        if not kept:
            raise AxialVSError(
                f'{self.ann_file}: none of its {len(records)} {self.unit} has a clip to use '
                f'({_in_words(self._skipped) or "nothing was skipped"}).'
            )
        lengths = [len(starts[index]) for index in kept]
        self._clip_videos = np.repeat(np.arange(len(kept)), lengths)
        self._clip_starts = np.concatenate([starts[index] for index in kept]).astype(np.int64)
        print_log(
            f'{self.ann_file}: {len(kept)} {self.unit}, {len(self._clip_starts)} clips of '
            f'{self.clip_length} frames. Skipped: {_in_words(self._skipped) or "nothing"}.',
            logger='current',
        )
        return [records[index] for index in kept]

    def _split(self, record: VideoRecord) -> list:
        return split_video(record['length'], self.clip_length, self.split_mode)

    def _training_starts(self, record: VideoRecord) -> Sequence[int] | np.ndarray:
        visible = targets_visible(record)
        everything = start_frames(np.ones_like(visible), self.clip_length, self.frame_range)
        if not self.filter_empty:
            return everything
        starts = start_frames(visible, self.clip_length, self.frame_range)
        self._skipped['start frames whose clip shows no object'] += len(everything) - len(starts)
        return starts

    def _find_images(self, records: Sequence[VideoRecord]) -> None:
        for record in records:
            for file_name in record['file_names']:
                path = os.path.join(self.data_prefix['img_path'], file_name)
                if not os.path.isfile(path):
                    raise FileNotFoundError(
                        f'{path}: no such image (video {record["video_id"]} of {self.ann_file}). '
                        'Check data_root and data_prefix.'
                    )

    def __len__(self) -> int:
        """Clips, not videos."""
        if not self._fully_initialized:
            self.full_init()
        return len(self._clip_starts)

    def __getitem__(self, idx: int | SampleIndex) -> dict:
        """The sample after the pipeline.

        Args:
            idx: A clip's index, or what `InfiniteClipSampler` gives; the random draws of the
                latter depend on its seed and position alone, those of a plain index on the data
                set's seed and the index.

        Raises:
            ValueError: No draw of a training clip had an object in it.
        """
        if not isinstance(idx, SampleIndex):
            index = range(len(self))[idx]
            idx = SampleIndex(index, index, self.seed)
        if self.test_mode:
            return super().__getitem__(idx.index)
        with random_state(idx.seed, idx.position):
            return self._draw_until_valid(idx.index)

    def _draw_until_valid(self, index: int) -> dict:
        """Draws the clip anew while the pipeline finds no object in it, then other clips."""
        tried: list[Any] = []
        for attempt in range(self.max_redraws + 1):
            if attempt and attempt % _TRIES_PER_CLIP == 0:
                index = random.randrange(len(self))
            sample = self.prepare_data(index)
            if sample is not None:
                return sample
            tried.append(self.get_data_info(self._clip_videos[index])['video_id'])
        raise AxialVSError(
            f'{self.ann_file}: {len(tried)} draws of clips of video(s) {sorted(set(tried))} left '
            'no object in the picture. Is the crop too small, or are the masks wrong?'
        )

    def prepare_data(self, idx: int) -> Any:
        """Makes the clip and runs the pipeline; None where that leaves no training target."""
        record = self.get_data_info(self._clip_videos[idx])
        start = int(self._clip_starts[idx])
        prefix = self.data_prefix['img_path']
        if self.test_mode:
            clip = next(clip for clip in self._split(record) if clip.start == start)
            return self.pipeline(evaluation_clip_of(record, clip, prefix))
        frames = sample_frames(record['length'], start, self.clip_length, self.frame_range)
        return self.pipeline(clip_of(record, frames, prefix))

    def clips_by_video(self) -> list[np.ndarray]:
        """For every video the indices of its clips, in order."""
        borders = np.flatnonzero(np.diff(self._clip_videos)) + 1
        return np.split(np.arange(len(self)), borders)

    def get_subset(self, indices: Sequence[int] | int) -> 'YouTubeVISDataset':
        """Not offered: a subset of videos is chosen with the argument `indices`."""
        raise NotImplementedError('Give `indices` when the data set is built.')

    get_subset_ = get_subset


def _count_skipped(annotations: VideoAnnotations, labels: LabelMap) -> dict[str, int]:
    instances = annotations.instances or ()
    return {
        'instances of categories that are no class': sum(
            labels.label_of(instance.category_id) is None for instance in instances
        ),
        'instances that are visible in no frame': sum(
            not instance.visible.any() for instance in instances
        ),
        'crowd instances (ignored, not learnt)': sum(instance.iscrowd for instance in instances),
    }


def _in_words(skipped: Counter) -> str:
    return ', '.join(f'{number} {reason}' for reason, number in skipped.items() if number)
