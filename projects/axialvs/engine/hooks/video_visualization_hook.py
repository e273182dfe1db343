"""Visualize predicted tracks and ground truth of a few validation videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import path as osp
from typing import Any

import mmcv
import numpy as np
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from axialvs.datasets.annotations.youtube_vis import Instance, read_annotations
from axialvs.engine.checkpointing import training_loop
from axialvs.evaluation.id_switches import ids_like_gt
from axialvs.evaluation.tube_iou import Tube
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import read_tube
from axialvs.visualization.comparison import FrameTracks, comparison_sheet


@dataclass(frozen=True)
class OverlaySource:
    """A video of a dataset.

    Attributes:
        video_id: id in the annotation file.
        name: name for titles: its id and the folder of its frames.
        paths: its L image files.
        size: (height, width).
        class_names: names of the classes.
        objects: the annotated objects, or None if the file has no annotations.
    """

    video_id: int
    name: str
    paths: list[str]
    size: tuple[int, int]
    class_names: Sequence[str]
    objects: 'TrackSet | None'


@dataclass(frozen=True)
class TrackSet:
    """Tracks of a video: n tubes of L frames, and (n,) ids, labels and scores, if any."""

    tubes: Sequence[Tube]
    ids: Sequence[int]
    labels: Sequence[int]
    scores: Sequence[float] | None = None


def evenly(number: int, wanted: int) -> list[int]:
    """Select at most `wanted` evenly spaced indices below `number`, from the first to the last."""
    return np.unique(np.linspace(0, number - 1, min(number, wanted)).round().astype(int)).tolist()


def choose_sources(dataset: Any, wanted: int) -> dict[int, OverlaySource]:
    """Select some evenly spaced videos of a test dataset, by their ids.

    Args:
        dataset: a YouTubeVISDataset in test mode.
        wanted: number of videos.

    Raises:
        ValueError: if the dataset is of a different kind.
    """
    if not hasattr(dataset, 'clips_by_video'):
        raise AxialVSError(
            'VideoVisualizationHook draws videos of YouTubeVISDataset, but this is '
            f'{type(dataset).__name__}; set videos=0'
        )
    annotations = read_annotations(dataset.ann_file)
    objects = annotations.instances_by_video() if annotations.instances is not None else None
    sources = {}
    for index in evenly(len(dataset.clips_by_video()), wanted):
        record = dataset.get_data_info(index)
        of_video = objects and objects[record['video_id']]
        sources[record['video_id']] = _source(record, of_video, dataset)
    return sources


def _source(
    record: dict[str, Any], instances: Sequence[Instance] | None, dataset: Any
) -> OverlaySource:
    size = record['height'], record['width']
    folder = osp.dirname(record['file_names'][0])
    return OverlaySource(
        video_id=record['video_id'],
        name=f'video {record["video_id"]}' + (f' ({folder})' if folder else ''),
        paths=[osp.join(dataset.data_prefix['img_path'], name) for name in record['file_names']],
        size=size,
        class_names=dataset.metainfo['classes'],
        objects=None if instances is None else _objects(instances, size, dataset),
    )


def _objects(instances: Sequence[Instance], size: tuple[int, int], dataset: Any) -> TrackSet:
    """Read the objects without crowds, renumbered from 1, because ids in a file may be long."""
    labels = {category: label for label, category in enumerate(dataset.metainfo['category_ids'])}
    learned = [
        instance
        for instance in instances
        if instance.category_id in labels and not instance.iscrowd
    ]
    return TrackSet(
        tubes=[read_tube(instance.segmentations, *size) for instance in learned],
        ids=range(1, len(learned) + 1),
        labels=[labels[instance.category_id] for instance in learned],
    )


@HOOKS.register_module()
class VideoVisualizationHook(Hook):
    """Draw the predictions on a few videos to all backends of the visualizer.

    mmengine's local backend writes the images as `vis_image/overlay_video_ID_ITERATION.png`. Videos
    and frames are evenly spaced and the same each time. Ground-truth objects are numbered from 1; a
    predicted track has the number and the color of the object with the largest overlap. Without
    annotations, only predictions are drawn.

    Args:
        videos: number of videos; 0 disables the hook.
        frames: number of evenly spaced frames per video.
        score_thr: minimum score of drawn tracks.
        height: height of a frame in the image, pixels.

    Raises:
        ValueError: if an argument is invalid, or the dataset is not a YouTubeVISDataset.
    """

    priority = 'LOW'

    def __init__(
        self, videos: int = 0, frames: int = 5, score_thr: float = 0.3, height: int = 240
    ) -> None:
        if videos < 0 or frames < 1 or height < 1:
            raise AxialVSError(
                f'VideoVisualizationHook: videos={videos}, frames={frames}, height={height}: '
                'at least 0, 1 and 1 are needed'
            )
        self.videos = videos
        self.frames = frames
        self.score_thr = score_thr
        self.height = height
        self._sources: dict[str, dict[int, OverlaySource]] = {}
        self._sheets: list[tuple[int, NDArray[np.uint8]]] = []

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        self._sheets.clear()
        if self.videos and mode != 'train' and mode not in self._sources:
            loader = runner.val_dataloader if mode == 'val' else runner.test_dataloader
            self._sources[mode] = choose_sources(loader.dataset, self.videos)

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | dict | None = None,
        mode: str = 'train',
    ) -> None:
        if not self.videos or mode == 'train':
            return
        for sample in outputs:
            source = self._sources[mode].get(sample.metainfo['video_id'])
            if source is not None and 'pred_tracks' in sample:  # the video ends here
                title = f'{source.name}, {mode}, iteration {_iteration(runner)}'
                self._sheets.append((source.video_id, self._sheet(title, source, sample)))

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if not self.videos or mode == 'train':
            return
        gathered = [sheet for sheets in all_gather_object(self._sheets) for sheet in sheets]
        for video_id, sheet in sorted(gathered, key=lambda pair: pair[0]):
            runner.visualizer.add_image(f'overlay_video_{video_id}', sheet, _iteration(runner))
        self._sheets.clear()

    def _sheet(self, title: str, source: OverlaySource, sample: Any) -> NDArray[np.uint8]:
        shown = evenly(len(source.paths), self.frames)
        frames = [mmcv.imread(source.paths[i], channel_order='rgb', backend='cv2') for i in shown]
        predicted = _predicted_tracks(sample.pred_tracks, source, self.score_thr)
        name = f'prediction, {len(predicted.tubes)} tracks of score {self.score_thr:g} or more'
        rows = [(name, [_frame_of(predicted, frame, source.size) for frame in shown])]
        if source.objects is not None:
            gt = [_frame_of(source.objects, frame, source.size) for frame in shown]
            rows.append((f'ground truth, {len(source.objects.tubes)} objects', gt))
        names = [f'frame {frame} of {len(source.paths)}' for frame in shown]
        return comparison_sheet(title, frames, names, rows, source.class_names, self.height)


def _iteration(runner: Runner) -> int:
    """Return the iteration of a training; `runner.iter` would load a test's training data."""
    return 0 if training_loop(runner) is None else runner.iter


def _predicted_tracks(tracks: InstanceData, source: OverlaySource, score_thr: float) -> TrackSet:
    kept = [index for index, score in enumerate(tracks.scores.tolist()) if score >= score_thr]
    tubes = [read_tube(tracks.segmentations[index], *source.size) for index in kept]
    gt = source.objects or TrackSet([], [], [])
    return TrackSet(
        tubes=tubes,
        ids=ids_like_gt(tubes, gt.tubes, gt.ids),
        labels=tracks.labels[kept].tolist(),
        scores=tracks.scores[kept].tolist(),
    )


def _frame_of(tracks: TrackSet, frame: int, size: tuple[int, int]) -> FrameTracks:
    """Select the tracks that have a mask in a frame."""
    present = [index for index, tube in enumerate(tracks.tubes) if tube[frame] is not None]
    masks = [np.asarray(tracks.tubes[index][frame]) for index in present]
    return FrameTracks(
        masks=np.array(masks, dtype=bool).reshape(-1, *size),
        ids=[tracks.ids[index] for index in present],
        labels=[tracks.labels[index] for index in present],
        scores=None if tracks.scores is None else [tracks.scores[index] for index in present],
    )
