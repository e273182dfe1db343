"""Clip-level segmenters: segment clips of any length and associate them across a video."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from mmdet.models.mot import BaseMOTModel
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from axialvs.clips import SplitMode, split_video
from axialvs.functional.ms_deform_attn import make_dispatch_compile_constant
from axialvs.models.fused_copy import FusedCopy
from axialvs.models.heads import ClipHead
from axialvs.postprocess.finisher import Finisher
from axialvs.structures import ClipPrediction, ImageShapes, Size, Track, VideoPrediction
from axialvs.tracking.clip_wise import ClipWiseTracker
from axialvs.tracking.linking import LinkSettings
from axialvs.tracking.near_online import NearOnlineTracker
from axialvs.tracking.tracker import Tracker, VideoTracks
from axialvs.utils.errors import AxialVSError

T = TypeVar('T')


@MODELS.register_module(name=['AxialVSNearOnline', 'TubeLink', 'ClipSegmenter'])
class ClipSegmenter(BaseMOTModel):
    """A clip-level segmenter with near-online tracking (Axial-VS Sec. 3.1 and 3.2).

    The head defines the model: Tube-Link or Video-kMaX, each with or without the within-clip
    tracking module. The class is also registered under the names of these models.

    Args:
        backbone: runs frame by frame.
        panoptic_head: a `ClipHead`; `in_channels=None` uses the `out_channels` of the backbone,
            which `TimmBackbone` has.
        test_cfg: settings of the head's finisher; `score_thr` of streams; `score_padded` of
            `NearOnlineVideo`; `linking`, 'queries' (default), for panoptic models also 'memory',
            see `ClipWiseTracker`, or `LinkSettings` as a dict.
        train_cfg: training settings of the head.
        data_preprocessor: normalizes and pads.
        init_cfg: initialization.
        clip_length: T of `predict_video` and of inference on videos.
        split_mode: how a video is cut into clips, see `split_video`.
        precision: autocast dtype for inference; None leaves it to the caller.
        class_names: names of the N classes; numbers by default.
        category_ids: ids of the N classes in result files; 1..N by default.
        test_pipeline: transforms of video frames for inference.
    """

    def __init__(
        self,
        backbone: dict,
        panoptic_head: dict,
        test_cfg: dict,
        train_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        clip_length: int | None = None,
        split_mode: SplitMode = 'repeat_last',
        precision: torch.dtype | None = None,
        class_names: Sequence[str] | None = None,
        category_ids: Sequence[int] | None = None,
        test_pipeline: Sequence[dict] = (),
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        # On a CPU, channels_last reduces the time of convolutions by a quarter.
        self.backbone = MODELS.build(backbone).to(memory_format=torch.channels_last)
        self._fused_backbone = FusedCopy()
        in_channels = self._in_channels(panoptic_head.get('in_channels'))
        self.panoptic_head: ClipHead = MODELS.build(
            {**panoptic_head, 'in_channels': in_channels, 'train_cfg': train_cfg}
        )
        self.test_cfg = test_cfg
        self.clip_length = clip_length
        self.split_mode: SplitMode = split_mode
        self.precision = precision
        count = self.num_classes
        self.class_names = tuple(class_names or (f'class {i + 1}' for i in range(count)))
        self.category_ids = tuple(category_ids or range(1, count + 1))
        if not len(self.class_names) == len(self.category_ids) == count:
            raise AxialVSError(
                f'the model has {count} classes, but {len(self.class_names)} are named: '
                f'{", ".join(self.class_names)}'
            )
        self.test_pipeline = list(test_pipeline)
        # Id and tracks of the current video of a test loop.
        self._video: tuple[int, VideoTracks] | None = None
        # For the current video, if its clips overlap.
        self._video_tracker: Tracker | None = None

    def _in_channels(self, given: Sequence[int] | None) -> Sequence[int]:
        """Return the channels of the backbone maps, from the config or from the backbone."""
        known = getattr(self.backbone, 'out_channels', None)
        channels = known if given is None else given
        if channels is None:
            raise AxialVSError(
                f'panoptic_head.in_channels is missing; {type(self.backbone).__name__} has no '
                'out_channels to infer it from'
            )
        if isinstance(known, list) and given is not None and known != list(given):
            raise AxialVSError(
                f'panoptic_head.in_channels is {list(given)}, but the maps of the backbone have '
                f'{known} channels; set in_channels=None to use these'
            )
        return channels

    @property
    def num_classes(self) -> int:
        """Number of classes N."""
        return self.panoptic_head.num_classes

    @property
    def finisher(self) -> Finisher:
        """Build the finisher of videos from the settings of `test_cfg`."""
        return self.panoptic_head.build_finisher(self.test_cfg, self._linking.thing_memory)

    def trackers(self) -> dict[str, Callable[[], Tracker]]:
        """Return constructors of trackers by mode; the first mode is the default."""
        return {'near-online': self._near_online_tracker}

    def _near_online_tracker(self) -> NearOnlineTracker:
        settings = self._predict_clips, self.finisher, self.test_cfg.get('score_padded', False)
        if self._linking.thing_memory is not None:
            return ClipWiseTracker(*settings)
        return NearOnlineTracker(*settings, self._linking)

    @property
    def _linking(self) -> LinkSettings:
        return LinkSettings.from_test_cfg(self.test_cfg, self.panoptic_head.masks_compete)

    def tracker(self, mode: str | None = None) -> Tracker:
        """Build the tracker of a mode, by default the model's own.

        Raises:
            AxialVSError: if the model does not have the mode.
        """
        trackers = self.trackers()
        mode = next(iter(trackers)) if mode is None else mode
        if mode not in trackers:
            raise AxialVSError(
                f"mode is '{mode}'; this model has {', '.join(map(repr, trackers))}; "
                'offline models have configs axialvs-cc_...'
            )
        return trackers[mode]()

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Compute the losses of a batch of clips (B, T, 3, H, W)."""
        targets = [self.panoptic_head.collate_targets(x, inputs.device) for x in data_samples]
        return self.panoptic_head.loss(self.extract_features(inputs), inputs.shape[1], targets)

    def val_step(self, data: dict) -> list[TrackDataSample]:
        """As in mmengine, for clips of one shape."""
        _check_one_shape(data['inputs'])
        return super().val_step(data)

    def test_step(self, data: dict) -> list[TrackDataSample]:
        """As in mmengine, for clips of one shape."""
        _check_one_shape(data['inputs'])
        return super().test_step(data)

    def predict(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> list[TrackDataSample]:
        """Process the next clips of a test loop, which must be in order, video by video.

        Args:
            inputs: clips (B, T, 3, H, W).
            data_samples: with the metainfo of their frames.

        Returns:
            One sample per clip; the last one of a video has its `pred_tracks`.
        """
        if self._linking.overlap:
            tracker, clips = self._encode_overlapping(inputs, data_samples)
        else:
            tracker = self.tracker()
            clips = tracker.encode(inputs)
        # The test loop's autocast is for the network only; association runs in float32.
        with torch.autocast(inputs.device.type, enabled=False):
            return [
                self._add_to_video(tracker, clip, sample)
                for clip, sample in zip(clips, data_samples, strict=True)
            ]

    def _encode_overlapping(
        self, inputs: Tensor, data_samples: list[TrackDataSample]
    ) -> tuple[Tracker, list]:
        """Encode test clips in order; the tracker keeps overlapping frames between calls."""
        clips = []
        for clip, sample in zip(inputs.split(1), data_samples, strict=True):
            if self._video_tracker is None or sample[0].metainfo['clip_start'] == 0:
                self._video_tracker = self.tracker()
            clips += self._video_tracker.encode(clip)
        assert self._video_tracker is not None
        return self._video_tracker, clips

    def _add_to_video(
        self, tracker: Tracker[T], clip: T, sample: TrackDataSample
    ) -> TrackDataSample:
        """Add the next clip to the current video; the last clip returns its tracks."""
        first = sample[0].metainfo
        if first['clip_start'] == 0:
            self._video = first['video_id'], tracker.video()
        elif self._video is None or self._video[0] != first['video_id']:
            raise AxialVSError(
                f'clip at frame {first["clip_start"]} of video {first["video_id"]} came '
                'without the previous clips; use the sampler VideoClipSampler for testing'
            )
        _, video = self._video
        shapes = self.image_shapes(
            tuple(first['batch_input_shape']),
            tuple(first['img_shape'][:2]),
            tuple(first['ori_shape'][:2]),
        )
        video.add(clip, shapes, len(sample) - first['num_padded_frames'])
        tracks = None
        if first['clip_is_last']:
            tracks = video.finish()
            video.close()
            self._video = None
        return _as_sample(tracks, first)

    def image_shapes(
        self, batch_input_shape: Size, img_shape: Size, ori_shape: Size
    ) -> ImageShapes:
        """Return the shapes of a frame, with the head's resize mode."""
        align_corners = self.panoptic_head.align_corners(batch_input_shape)
        return ImageShapes(batch_input_shape, img_shape, ori_shape, align_corners)

    def compile(self, **options) -> None:
        """Compile backbone and head; association stays in Python.

        Args:
            options: arguments of `torch.compile`.
        """
        make_dispatch_compile_constant()
        self._fused_backbone = FusedCopy(options)
        self.backbone.compile(**options)
        self.panoptic_head.compile(**options)

    def autocast(self) -> AbstractContextManager:
        """Return an autocast context for `precision`."""
        if self.precision is None:
            return nullcontext()
        return torch.autocast(next(self.parameters()).device.type, self.precision)

    @torch.no_grad()
    def _predict_clips(self, clips: Tensor) -> list[ClipPrediction]:
        """Predict clips (B, T, 3, H, W)."""
        with self.autocast():
            predictions = self.panoptic_head.predict(self.extract_features(clips), clips.shape[1])
            if self._linking.by != 'mask_embeddings':
                return predictions
            return [
                x._replace(mask_embeddings=self.panoptic_head.embed_masks(x)) for x in predictions
            ]

    def extract_features(self, clips: Tensor) -> Sequence[Tensor]:
        """Compute backbone maps (B * T, C_l, H_l, W_l) of the frames of clips (B, T, 3, H, W)."""
        frames = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self._fused_backbone.of(self.backbone)(frames)

    def predict_clip(self, frames: Tensor) -> ClipPrediction:
        """Segment one clip.

        Args:
            frames: (T, 3, H, W), normalized and padded; any T.
        """
        return self._predict_clips(frames.unsqueeze(0))[0]

    @torch.no_grad()
    def predict_video(self, frames: Tensor) -> VideoPrediction:
        """Segment a video in memory with the model's default tracker.

        Args:
            frames: (L, 3, H, W), normalized and padded.

        Returns:
            Queries in the order of the first clip; class logits averaged over clips (near-online)
            or refined (offline).
        """
        if self.clip_length is None:
            raise AxialVSError('predict_video: the model has no `clip_length`; set it')
        tracker = self.tracker()
        clips = split_video(len(frames), self.clip_length, self.split_mode)
        encoded = [tracker.encode(frames[clip.frame_indices()].unsqueeze(0))[0] for clip in clips]
        return tracker.predict(encoded, [clip.num_frames for clip in clips])


def _check_one_shape(clips: Sequence[Tensor]) -> None:
    """Raise an error if clips of a test batch would be padded to a common shape."""
    shapes = sorted({tuple(clip.shape) for clip in clips})
    if len(shapes) > 1:
        raise AxialVSError(
            f'clips of a test batch have shapes (T, 3, H, W) {shapes[0]} and {shapes[-1]}; padding '
            'would change their results; set batch_size=1 of val_dataloader and test_dataloader'
        )


def _as_sample(tracks: Sequence[Track] | None, metainfo: Mapping) -> TrackDataSample:
    """Pack a video's tracks for the metric; None if the video continues."""
    sample = TrackDataSample(
        metainfo={k: metainfo[k] for k in ('video_id', 'video_length', 'ori_shape')}
    )
    if tracks is None:
        return sample
    sample.pred_tracks = InstanceData(
        labels=torch.tensor([x.label for x in tracks], dtype=torch.long),
        scores=torch.tensor([x.score for x in tracks]),
        segmentations=[x.segmentations for x in tracks],
    )
    return sample
