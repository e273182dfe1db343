"""Metrics of the training and test loops: VPQ and STQ of videos, PQ of images."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import (
    PanopticCategory,
    PanopticVideo,
    open_panoptic,
    read_ground_truth,
    read_ids,
    read_panoptic_categories,
    read_panoptic_videos,
)
from axialvs.datasets.annotations.schema import JsonRecord
from axialvs.evaluation.metrics import VideoMetric
from axialvs.evaluation.panoptic_counts import Tubes, frame_overlaps
from axialvs.evaluation.panoptic_scores import VideoPanopticScores, evaluate_video
from axialvs.evaluation.vpq import WINDOWS
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import RLE, read_mask


@dataclass(frozen=True, slots=True)
class FinishedPanopticVideo:
    """Counts of a finished video; not a tuple, see `FinishedVideo`."""

    video_id: str
    scores: VideoPanopticScores


@METRICS.register_module()
class VideoPanopticMetric(VideoMetric):
    """VPQ and STQ in percent, see `VideoPanopticScores.summary`.

    Takes one data sample per clip and uses those that end a video: metainfo `video_id`, and
    `pred_tracks` with `labels` (n,) and `segmentations`, n lists of L entries, COCO RLE or None.
    Things and stuff are tracks; of overlapping tracks the first one counts. A video is compared
    with the PNGs of the ground truth at once, in the process that segmented it; only counts are
    gathered.

    Args:
        ann_file: JSON file in VIPSeg's layout.
        mask_prefix: folder of its PNGs.
        **kwargs: of `VideoMetric`.
    """

    default_prefix = 'panoptic'
    windows: Sequence[int] = WINDOWS

    def __init__(self, ann_file: str, mask_prefix: str, **kwargs: Any) -> None:
        super().__init__(ann_file, **kwargs)
        self.mask_prefix = mask_prefix

    def read(self) -> tuple[tuple[PanopticCategory, ...], Iterable[PanopticVideo]]:
        """Read the annotation file."""
        gt = read_ground_truth(self.ann_file, self.mask_prefix)
        return gt.categories, gt.videos

    def mask_path(self, video: PanopticVideo, frame: int) -> str:
        """The PNG of a frame."""
        return os.path.join(self.mask_prefix, video.id, video.file_names[frame])

    @cached_property
    def _gts(self) -> tuple[tuple[PanopticCategory, ...], dict[str, PanopticVideo]]:
        """The categories, and each video by its id."""
        categories, videos = self.read()
        return categories, {video.id: video for video in videos}

    def expected_ids(self) -> Iterable[str]:
        """Ids of the videos of the annotation file."""
        return self._gts[1]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the videos that end in a batch; most batches have none.

        Args:
            data_batch: not used.
            data_samples: one per clip.

        Raises:
            FileNotFoundError: a PNG is missing.
            AxialVSError: a video or a mask does not fit the ground truth.
        """
        for sample in data_samples:
            if 'pred_tracks' in sample:
                video_id = str(sample['video_id'])
                self.results.append(
                    FinishedPanopticVideo(video_id, self._count(video_id, sample['pred_tracks']))
                )

    def _count(self, video_id: str, tracks: dict[str, Any]) -> VideoPanopticScores:
        categories, videos = self._gts
        if video_id not in videos:
            raise AxialVSError(f'{self.ann_file}: has no video {video_id}')
        video = videos[video_id]
        index_of = {category.id: index for index, category in enumerate(categories)}
        classes = [
            index_of.get(self.dataset_meta['category_ids'][label])
            for label in np.asarray(tracks['labels']).tolist()
        ]
        # Classes that the ground truth lacks are left out.
        kept = [index for index, label in enumerate(classes) if label is not None]
        gt_ids = sorted(video.categories)
        tubes = Tubes(
            np.array([index_of[video.categories[i]] for i in gt_ids], dtype=np.int64),
            np.array([classes[index] for index in kept], dtype=np.int64),
            np.array([i in video.crowds for i in gt_ids], dtype=bool),
        )
        segmentations = [tracks['segmentations'][index] for index in kept]
        overlaps = self._overlaps(video, gt_ids, segmentations)
        return evaluate_video(overlaps, tubes, categories, self.windows)

    def _overlaps(
        self, video: PanopticVideo, gt_ids: Sequence[int], tracks: Sequence[Sequence[RLE | None]]
    ) -> Iterator[NDArray[np.int64]]:
        length = len(video.file_names)
        if any(len(track) != length for track in tracks):
            raise AxialVSError(
                f'prediction for video {video.id}: its tracks do not have {length} frames as in '
                f'{self.ann_file}'
            )
        for frame in range(length):
            path = self.mask_path(video, frame)
            gt_map = read_ids(path)
            pred_map = id_map([track[frame] for track in tracks], gt_map.shape, path)
            yield frame_overlaps(gt_map, pred_map, gt_ids, range(1, len(tracks) + 1))

    def compute_metrics(self, results: list[FinishedPanopticVideo]) -> dict[str, float]:
        """The metrics of counted videos.

        Args:
            results: of all processes, one per video.
        """
        total = VideoPanopticScores.zero(self._gts[0], self.windows)
        for video in sorted(results, key=lambda video: video.video_id):
            total.add(video.scores)
        return self.summarise(total)

    def summarise(self, scores: VideoPanopticScores) -> dict[str, float]:
        """The metrics of all videos together."""
        return scores.summary()


def id_map(
    masks: Sequence[RLE | None], shape: tuple[int, int], source: str = ''
) -> NDArray[np.uint32]:
    """Paint masks into a map (H, W): index + 1 of the first mask of a pixel, or 0.

    Args:
        masks: of one frame.
        shape: (height, width) of the frame.
        source: what the masks belong to, for messages.

    Raises:
        AxialVSError: a mask has another size.
    """
    ids = np.zeros(shape, np.uint32)
    for index, mask in reversed(list(enumerate(masks, 1))):
        if mask is None:
            continue
        if tuple(mask['size']) != tuple(shape):
            raise AxialVSError(
                f'{source}: is {shape[1]}x{shape[0]} pixels, but a predicted mask is '
                f'{mask["size"][1]}x{mask["size"][0]}'
            )
        ids[np.asarray(read_mask(mask, *shape)).view(bool)] = index
    return ids


@METRICS.register_module()
class ImagePanopticMetric(VideoPanopticMetric):
    """COCO's panoptic quality in percent: `PQ`, `PQ_th`, `PQ_st`. Images are videos of one frame.

    Args:
        ann_file: JSON file in COCO's panoptic layout.
        mask_prefix: folder of its PNGs.
        **kwargs: of `VideoMetric`.
    """

    default_prefix = 'coco_panoptic'
    windows = (1,)

    def read(self) -> tuple[tuple[PanopticCategory, ...], Iterable[PanopticVideo]]:
        """Read the annotation file."""
        path, _, content = open_panoptic(self.ann_file, self.mask_prefix)
        categories = read_panoptic_categories(content)
        images = [
            {'video_id': image.get('image_id'), 'annotations': [image.values]}
            for image in content.records('annotations', 'annotation')
        ]
        as_videos = JsonRecord({'annotations': images}, path)
        return categories, read_panoptic_videos(as_videos, categories)

    def mask_path(self, video: PanopticVideo, frame: int) -> str:
        """The PNG of an image."""
        return os.path.join(self.mask_prefix, video.file_names[frame])

    def summarise(self, scores: VideoPanopticScores) -> dict[str, float]:
        """The metrics of all images together."""
        metrics = scores.summary()
        return {
            'PQ': metrics['vpq1'],
            'PQ_th': metrics['vpq1_thing'],
            'PQ_st': metrics['vpq1_stuff'],
        }
