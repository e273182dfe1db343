"""Metrics of the training and test loops: VPQ and STQ of videos, PQ of images."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log
from numpy.typing import NDArray
from PIL import Image

from axialvs.datasets.annotations.panoptic import (
    PanopticCategory,
    PanopticVideo,
    ids_to_rgb,
    open_panoptic,
    read_ground_truth,
    read_ids,
    read_panoptic_categories,
    read_panoptic_videos,
    segments_info,
)
from axialvs.datasets.annotations.schema import JsonRecord
from axialvs.evaluation.panoptic_counts import count_pairs, tubes_of
from axialvs.evaluation.panoptic_scores import VideoPanopticScores, evaluate_video
from axialvs.evaluation.video_metric import VideoMetric
from axialvs.evaluation.vpq import WINDOWS
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically
from axialvs.utils.images import write_image
from axialvs.utils.rle import RLE, read_mask

CategoryTrack = tuple[int, Sequence[RLE | None]]  # category id, and one mask per frame


@dataclass(frozen=True, slots=True)
class FinishedPanopticVideo:
    """Counts of a finished video; not a NamedTuple, see `FinishedVideo`."""

    video_id: str
    scores: VideoPanopticScores
    tracks: list[CategoryTrack] | None  # None if no file is written


@METRICS.register_module()
class VideoPanopticMetric(VideoMetric):
    """Compute VPQ and STQ in percent, see `VideoPanopticScores.summary`.

    Each clip is a data sample; only the last one of a video is used. It has the metainfo `video_id`
    and `pred_tracks` with `labels` (n,) and `segmentations`, n lists of L entries, COCO RLE or
    None. Things and stuff are tracks; pixels of overlapping tracks belong to the first one. A video
    is compared with the ground truth PNGs as soon as it is finished, in the process that segmented
    it; only counts are gathered.

    Args:
        ann_file: JSON file in VIPSeg's layout.
        mask_prefix: folder of its PNGs.
        outfile_prefix: write the predictions to `{outfile_prefix}.json` and, one folder per video,
            to `{outfile_prefix}/`. If they exist, a number is appended.
        **kwargs: arguments of `VideoMetric`.
    """

    default_prefix = 'panoptic'
    windows: Sequence[int] = WINDOWS

    def __init__(
        self, ann_file: str, mask_prefix: str, outfile_prefix: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(ann_file, **kwargs)
        self.mask_prefix = mask_prefix
        self.outfile_prefix = outfile_prefix

    def read(self) -> tuple[tuple[PanopticCategory, ...], Iterable[PanopticVideo]]:
        """Read the annotation file."""
        gt = read_ground_truth(self.ann_file, self.mask_prefix)
        return gt.categories, gt.videos

    def mask_path(self, video: PanopticVideo, frame: int) -> str:
        """Return the path of a frame's PNG."""
        return os.path.join(self.mask_prefix, video.id, video.file_names[frame])

    @cached_property
    def _gts(self) -> tuple[tuple[PanopticCategory, ...], dict[str, PanopticVideo]]:
        """The categories, and the videos by id."""
        categories, videos = self.read()
        return categories, {video.id: video for video in videos}

    def expected_ids(self) -> Iterable[str]:
        """Return the ids of the videos in the annotation file."""
        return self._gts[1]

    def finish_video(self, video_id: Any, tracks: dict[str, Any]) -> FinishedPanopticVideo:
        """Compare a video with the ground truth.

        Raises:
            FileNotFoundError: if a PNG is missing.
            AxialVSError: if the video or a mask does not match the ground truth.
        """
        category_ids, (categories, videos) = self.dataset_meta['category_ids'], self._gts
        video = videos.get(str(video_id))
        if video is None:
            raise AxialVSError(f'{self.ann_file}: has no video {video_id}')
        known = {category.id for category in categories}
        # Classes missing from the ground truth are ignored.
        kept = [
            (category_ids[label], segmentations)
            for label, segmentations in zip(
                np.asarray(tracks['labels']).tolist(), tracks['segmentations'], strict=True
            )
            if category_ids[label] in known
        ]
        tubes = tubes_of(video, [category_id for category_id, _ in kept], categories)
        overlaps = self._overlaps(video, [segmentations for _, segmentations in kept])
        scores = evaluate_video(overlaps, tubes, categories, self.windows)
        return FinishedPanopticVideo(video.id, scores, kept if self.outfile_prefix else None)

    def _overlaps(
        self, video: PanopticVideo, tracks: Sequence[Sequence[RLE | None]]
    ) -> Iterator[NDArray[np.int64]]:
        gt_ids = sorted(video.categories)
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
            yield count_pairs(gt_map, pred_map).table(gt_ids, range(1, len(tracks) + 1))

    def compute_metrics(self, results: list[FinishedPanopticVideo]) -> dict[str, float]:
        """Write the requested files and compute the metrics.

        Args:
            results: results of all processes, one per video.
        """
        results = sorted(results, key=lambda video: video.video_id)
        if self.outfile_prefix:
            self._write(results)
        total = VideoPanopticScores.zero(self._gts[0], self.windows)
        for video in results:
            total.add(video.scores)
        return self.summarize(total)

    def _write(self, results: Sequence[FinishedPanopticVideo]) -> None:
        prefix = self.output_prefix(self.outfile_prefix, ('', '.json'))
        annotations = []
        for result in results:
            video = self._gts[1][result.video_id]
            frames = [
                write_frame(os.path.join(prefix, video.id, name), result.tracks, index)
                for index, name in enumerate(video.file_names)
            ]
            annotations.append({'video_id': video.id, 'annotations': frames})
        write_atomically(f'{prefix}.json', json.dumps({'annotations': annotations}).encode())
        print_log(f'wrote {len(results)} videos to {prefix}/ and {prefix}.json', logger='current')

    def summarize(self, scores: VideoPanopticScores) -> dict[str, float]:
        """Compute the metrics of all videos."""
        return scores.summary()


def id_map(
    masks: Sequence[RLE | None], shape: tuple[int, int], source: str = ''
) -> NDArray[np.uint32]:
    """Merge masks into an (H, W) map: index + 1 of the first mask that covers a pixel, or 0.

    Args:
        masks: masks of one frame.
        shape: (height, width) of the frame.
        source: frame of the masks, for error messages.

    Raises:
        AxialVSError: if a mask has a different size.
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


def write_frame(path: str, tracks: Sequence[CategoryTrack], frame: int) -> dict[str, Any]:
    """Write the PNG of a frame, id = R + 256 G + 65536 B, and return its entry of the JSON file."""
    masks = [segmentations[frame] for _, segmentations in tracks]
    shape = next((tuple(mask['size']) for _, s in tracks for mask in s if mask), (1, 1))
    ids = id_map(masks, shape, path)
    write_image(Path(path), Image.fromarray(ids_to_rgb(ids)))
    segments = segments_info(ids, lambda i: tracks[i - 1][0])
    return {'file_name': os.path.basename(path), 'segments_info': segments}


@METRICS.register_module()
class ImagePanopticMetric(VideoPanopticMetric):
    """Compute COCO's panoptic quality in percent: `PQ`, `PQ_th`, `PQ_st`.

    Images are videos of one frame.

    Args:
        ann_file: JSON file in COCO's panoptic layout.
        mask_prefix: folder of its PNGs.
        **kwargs: arguments of `VideoMetric`.
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
        """Return the path of an image's PNG."""
        return os.path.join(self.mask_prefix, video.file_names[frame])

    def summarize(self, scores: VideoPanopticScores) -> dict[str, float]:
        """Compute the metrics of all images."""
        metrics = scores.summary()
        return {
            'PQ': metrics['vpq1'],
            'PQ_th': metrics['vpq1_thing'],
            'PQ_st': metrics['vpq1_stuff'],
        }
