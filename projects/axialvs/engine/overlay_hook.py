"""A hook that draws some videos of a validation or a test: frames, prediction, ground truth."""

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from axialvs.engine.overlay_source import OverlaySource, TrackSet, choose_sources, evenly
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.track_pairs import ids_like_truth
from axialvs.visualization.comparison import FrameTracks, comparison_sheet


@HOOKS.register_module()
class OverlayHook(Hook):
    """Shows what the model makes of a few videos, in all backends of the visualizer.

    mmengine's local backend keeps the pictures as `vis_image/overlay_video_ID_ITERATION.png`. The
    videos lie evenly over the data set and are the same each time, and so are their frames. The
    objects of the ground truth are numbered from 1, and a predicted track has the number and the
    colour of the object that it overlaps most. Files without annotations give no ground truth.

    Args:
        videos: How many to draw; 0 does nothing.
        frames: How many of each video, evenly over its length.
        score_thr: Tracks of a lower score are not drawn.
        height: Of a frame in the picture, pixels.

    Raises:
        ValueError: An argument is wrong, or the data set is no YouTubeVISDataset.
    """

    priority = 'LOW'

    def __init__(
        self, videos: int = 0, frames: int = 5, score_thr: float = 0.3, height: int = 240
    ) -> None:
        if videos < 0 or frames < 1 or height < 1:
            raise ValueError(
                f'OverlayHook: videos={videos}, frames={frames}, height={height}: '
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
                title = f'{source.name}, {mode}, iteration {runner.iter}'
                self._sheets.append((source.video_id, self._sheet(title, source, sample)))

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if not self.videos or mode == 'train':
            return
        gathered = [sheet for sheets in all_gather_object(self._sheets) for sheet in sheets]
        for video_id, sheet in sorted(gathered, key=lambda pair: pair[0]):
            runner.visualizer.add_image(f'overlay_video_{video_id}', sheet, runner.iter)
        self._sheets.clear()

    def _sheet(self, title: str, source: OverlaySource, sample: Any) -> NDArray[np.uint8]:
        shown = evenly(len(source.paths), self.frames)
        frames = [mmcv.imread(source.paths[i], channel_order='rgb', backend='cv2') for i in shown]
        predicted = _predicted_tracks(sample.pred_tracks, source, self.score_thr)
        name = f'prediction, {len(predicted.tubes)} tracks of score {self.score_thr:g} or more'
        rows = [(name, [_frame_of(predicted, frame, source.size) for frame in shown])]
        if source.objects is not None:
            truth = [_frame_of(source.objects, frame, source.size) for frame in shown]
            rows.append((f'ground truth, {len(source.objects.tubes)} objects', truth))
        names = [f'frame {frame} of {len(source.paths)}' for frame in shown]
        return comparison_sheet(title, frames, names, rows, source.class_names, self.height)


def _predicted_tracks(tracks: InstanceData, source: OverlaySource, score_thr: float) -> TrackSet:
    kept = [index for index, score in enumerate(tracks.scores.tolist()) if score >= score_thr]
    tubes = [compressed_tube(tracks.segmentations[index], *source.size) for index in kept]
    truth = source.objects or TrackSet([], [], [])
    return TrackSet(
        tubes=tubes,
        ids=ids_like_truth(tubes, truth.tubes, truth.ids, source.size),
        labels=tracks.labels[kept].tolist(),
        scores=tracks.scores[kept].tolist(),
    )


def _frame_of(tracks: TrackSet, frame: int, size: tuple[int, int]) -> FrameTracks:
    """The tracks that have a mask in a frame."""
    present = [index for index, tube in enumerate(tracks.tubes) if tube[frame]]
    masks = [
        coco_mask.decode({'size': size, 'counts': tracks.tubes[index][frame]}).astype(bool)
        for index in present
    ]
    return FrameTracks(
        masks=np.array(masks, dtype=bool).reshape(-1, *size),
        ids=[tracks.ids[index] for index in present],
        labels=[tracks.labels[index] for index in present],
        scores=None if tracks.scores is None else [tracks.scores[index] for index in present],
    )
