"""Base class of datasets whose samples are clips of videos."""

import os
import random
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.logging import print_log
from numpy.typing import NDArray

from axialvs.clips import Clip, SplitMode, sample_frames, split_video, start_frames
from axialvs.datasets.seeding import SampleIndex, random_state
from axialvs.utils.errors import AxialVSError

_TRIES_PER_CLIP = 5

VideoRecord = dict[str, Any]
"""Data of a video as plain values that are fast to pickle: `video_id`, `width`, `height`, `length`,
`file_names` and what the dataset needs for ground truth."""


class VideoRecords(NamedTuple):
    """Contents of an annotation file.

    Attributes:
        videos: one record per video.
        metainfo: `classes` and further information about them.
        skipped: number of records that training ignores, by reason.
    """

    videos: list[VideoRecord]
    metainfo: dict[str, Any]
    skipped: dict[str, int]


class ClipDataset(BaseDataset):
    """Base of datasets of videos.

    In training, a sample is a clip, with one index per start frame whose clip shows a target. In
    test mode, samples are the clips of all videos in order. Subclasses implement `read_records`,
    `targets_visible` and `frame_annotations`.

    Args:
        ann_file: annotation file, relative to `data_root`.
        clip_length: frames of a clip, T.
        num_frames: frames of a training sample; None for T. Offline training uses several clips per
            sample.
        frame_range: 0 for consecutive training frames; r > 0 for frames within r of the key frame,
            which must be at least `num_frames`.
        filter_empty: skip start frames whose clip shows no target (training only).
        split_mode: how a test video is split into clips, see `split_video`.
        check_images: check that all image files exist when the dataset is built.
        seed: seed for plain indices; those of `InfiniteClipSampler` have the run's seed.
        max_redraws: how often a training clip is redrawn if its crop contains no target.
        data_prefix: `img_path` is the folder that file names are relative to.
        **kwargs: arguments of mmengine's BaseDataset: data_root, pipeline, test_mode, indices, ...

    Raises:
        AnnotationError: if the file is invalid.
        FileNotFoundError: if the file, or an image, is missing.
        AxialVSError: if an argument is invalid, or there is nothing to train on.
    """

    unit = 'videos'  # what records are called in messages

    def __init__(
        self,
        ann_file: str,
        clip_length: int,
        num_frames: int | None = None,
        frame_range: int | None = 0,
        filter_empty: bool = True,
        split_mode: SplitMode = 'repeat_last',
        check_images: bool = False,
        seed: int = 0,
        max_redraws: int = 100,
        data_prefix: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.clip_length = clip_length
        self.num_frames = clip_length if num_frames is None else num_frames
        self.frame_range = frame_range or 0
        if min(clip_length, self.num_frames) < 1 or self.frame_range < 0:
            raise AxialVSError(
                f'clip_length={clip_length}, num_frames={num_frames}, frame_range={frame_range}: '
                'must be at least 1, 1 and 0.'
            )
        if self.frame_range and 2 * self.frame_range < self.num_frames - 1:
            raise AxialVSError(
                f'frame_range={frame_range} covers {2 * self.frame_range + 1} frames, fewer than '
                f'the {self.num_frames} of a sample. Give a larger range, or 0 for consecutive '
                'frames.'
            )
        self.filter_empty = filter_empty
        self.split_mode = split_mode
        self.check_images = check_images
        self.seed = seed
        self.max_redraws = max_redraws
        super().__init__(ann_file=ann_file, data_prefix=data_prefix or {'img_path': ''}, **kwargs)

    @abstractmethod
    def read_records(self) -> VideoRecords:
        """Read the annotation file."""

    @abstractmethod
    def targets_visible(self, record: VideoRecord) -> NDArray[np.bool_]:
        """Return (L,) bool: whether each frame of a video shows a training target."""

    @abstractmethod
    def frame_annotations(self, record: VideoRecord, frame: int) -> dict[str, Any]:
        """Return the values of one frame for the annotation loader."""

    def load_data_list(self) -> list[VideoRecord]:
        """Read the file and return one record per video."""
        records = self.read_records()
        self._metainfo.update(records.metainfo)
        self._skipped = Counter(records.skipped)
        return records.videos

    def filter_data(self) -> list[VideoRecord]:
        """Build the index of clips and drop videos without clips."""
        records = self.data_list
        if self._indices is not None:
            records = self._get_unserialized_subset(self._indices)
            self._indices = None  # applied here, because the index below belongs to these records
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
        skipped = ', '.join(f'{number} {why}' for why, number in self._skipped.items() if number)
        if not kept:
            raise AxialVSError(
                f'{self.ann_file}: none of its {len(records)} {self.unit} has a clip to use '
                f'(skipped: {skipped or "nothing"}).'
            )
        self._clip_videos = np.repeat(np.arange(len(kept)), [len(starts[index]) for index in kept])
        self._clip_starts = np.concatenate([starts[index] for index in kept]).astype(np.int64)
        print_log(
            f'{self.ann_file}: {len(kept)} {self.unit}, {len(self._clip_starts)} clips of '
            f'{self.clip_length if self.test_mode else self.num_frames} frames. '
            f'Skipped: {skipped or "nothing"}.',
            logger='current',
        )
        return [records[index] for index in kept]

    def _split(self, record: VideoRecord) -> list[Clip]:
        return split_video(record['length'], self.clip_length, self.split_mode)

    def _training_starts(self, record: VideoRecord) -> Sequence[int] | NDArray[np.int64]:
        visible = self.targets_visible(record)
        everything = start_frames(np.ones_like(visible), self.num_frames, self.frame_range)
        if not self.filter_empty:
            return everything
        starts = start_frames(visible, self.num_frames, self.frame_range)
        self._skipped['start frames whose clip shows no object'] += len(everything) - len(starts)
        return starts

    def _find_images(self, records: Sequence[VideoRecord]) -> None:
        for record in records:
            for file_name in record['file_names']:
                path = self._image_path(file_name)
                if not os.path.isfile(path):
                    raise FileNotFoundError(
                        f'{path}: no such image (video {record["video_id"]} of {self.ann_file}). '
                        'Check data_root and data_prefix.'
                    )

    def _image_path(self, file_name: str) -> str:
        return os.path.join(self.data_prefix['img_path'], file_name)

    def __len__(self) -> int:
        """Return the number of clips."""
        if not self._fully_initialized:
            self.full_init()
        return len(self._clip_starts)

    def __getitem__(self, idx: int | SampleIndex) -> dict:
        """Return the sample after the pipeline.

        Args:
            idx: index of a clip, or an index from a training sampler. The random draws of the
                latter only depend on its seed and position, those of a plain index on the
                dataset's seed and the index.

        Raises:
            AxialVSError: if no redraw of a training clip contained a target.
        """
        if not isinstance(idx, SampleIndex):
            index = range(len(self))[idx]
            idx = SampleIndex(index, index, self.seed)
        if self.test_mode:
            return super().__getitem__(idx.clip)
        with random_state(idx.seed, idx.position):
            return self._draw_until_valid(idx.clip)

    def _draw_until_valid(self, clip: int) -> dict:
        """Redraw the clip, then other clips, until the pipeline returns a target."""
        tried: list[Any] = []
        for attempt in range(self.max_redraws + 1):
            if attempt and attempt % _TRIES_PER_CLIP == 0:
                clip = random.randrange(len(self))
            sample = self.prepare_data(clip)
            if sample is not None:
                return sample
            tried.append(self.get_data_info(self._clip_videos[clip])['video_id'])
        raise AxialVSError(
            f'{self.ann_file}: {len(tried)} draws of clips of {self.unit} {sorted(set(tried))} '
            'contained no object. Is the crop too small, or are the masks wrong?'
        )

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on a clip; None if no training target is left."""
        return self.pipeline(self.clip_at(idx))

    def clip_at(self, idx: int) -> dict[str, list[Any]]:
        """Return a clip before the pipeline: T values per key."""
        record = self.get_data_info(self._clip_videos[idx])
        start = int(self._clip_starts[idx])
        if not self.test_mode:
            frames = sample_frames(record['length'], start, self.num_frames, self.frame_range)
            return self.clip_values(record, frames)
        clip = next(clip for clip in self._split(record) if clip.start == start)
        values = self.clip_values(record, clip.frame_indices())
        place = {
            'clip_start': clip.start,
            'clip_is_last': clip.start + clip.num_frames == record['length'],
            'num_padded_frames': clip.num_padded,
        }
        return values | {key: [value] * clip.length for key, value in place.items()}

    def clip_values(self, record: VideoRecord, frames: Sequence[int]) -> dict[str, list[Any]]:
        """Return T frames of a video for `TransformBroadcaster`: T values per key.

        Args:
            record: the video.
            frames: T frame indices, possibly with duplicates.
        """
        per_frame = [
            {
                'img_path': self._image_path(record['file_names'][frame]),
                'img_id': frame,  # counted by mmdet's packing
                'frame_id': frame,
                **({} if self.test_mode else self.frame_annotations(record, frame)),
                **{key: record[key] for key in ('video_id', 'height', 'width')},
                'video_length': record['length'],
            }
            for frame in frames
        ]
        return {key: [values[key] for values in per_frame] for key in per_frame[0]}

    def clips_by_video(self) -> list[NDArray[np.int64]]:
        """Return for every video the indices of its clips, in order."""
        borders = np.flatnonzero(np.diff(self._clip_videos)) + 1
        return np.split(np.arange(len(self)), borders)

    def get_subset(self, indices: Sequence[int] | int) -> 'ClipDataset':
        """Raise an error: subsets of videos are selected by the argument `indices`."""
        raise NotImplementedError('Pass `indices` to the constructor of the dataset.')

    get_subset_ = get_subset


@DATASETS.register_module()
class ConcatClips(ConcatDataset):
    """mmengine's `ConcatDataset` with support for the indices of the training samplers.

    The datasets must have equal classes; category ids may differ, so configs set
    `ignore_keys=['category_ids']`. `RatioClipSampler` sets the sampling ratios.
    """

    def __getitem__(self, idx: int | SampleIndex) -> Any:
        """Return the sample after the pipeline of its dataset, see `ClipDataset`."""
        if not isinstance(idx, SampleIndex):
            return super().__getitem__(idx)
        number, clip = self._get_ori_dataset_idx(idx.clip)
        return self.datasets[number][idx._replace(clip=clip)]
