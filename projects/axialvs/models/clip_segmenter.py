"""Tube-Link: segments clips of any length and links them into a video."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from mmdet.models.mot import BaseMOTModel
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from axialvs.clips import Clip, SplitMode, split_video
from axialvs.functional.ms_deform_attn import let_compiler_resolve_once
from axialvs.models.ground_truth import collate_clip_instances
from axialvs.models.inference_form import InferenceForm
from axialvs.structures import ClipPrediction, ImageShapes, Track, VideoPrediction
from axialvs.tracking.near_online import ClipLinker, NearOnlineTracks, VideoTracks
from axialvs.utils.errors import AxialVSError


@MODELS.register_module()
class TubeLink(BaseMOTModel):
    """A clip-level segmenter with near-online association (Axial-VS Sec. 3.1 and 3.2).

    Args:
        backbone: works frame by frame.
        panoptic_head: a `ClipMask2FormerHead`.
        test_cfg: `max_tracks` and `max_masks_per_frame` of `VideoTracks`; `score_threshold` of
            live inference.
        train_cfg: training settings of the head.
        data_preprocessor: normalises and pads.
        init_cfg: initialisation.

    Attributes:
        clip_length: T of `predict_video`; `axialvs.apis.init_segmenter` takes it from the config's
            test data set.
        split_mode: how `predict_video` cuts a video, see `split_video`; likewise.
        precision: type of the products in inference, under autocast; None leaves it to the caller.
    """

    clip_length: int | None = None
    precision: torch.dtype | None = None
    split_mode: SplitMode = 'repeat_last'
    # How a video can be segmented; the first is what `predict` and `predict_video` do.
    modes: tuple[str, ...] = ('near-online',)

    def __init__(
        self,
        backbone: dict,
        panoptic_head: dict,
        test_cfg: dict,
        train_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        # Channels last, convolutions take three quarters of the time on a CPU.
        self.backbone = MODELS.build(backbone).to(memory_format=torch.channels_last)
        self._inference_form = InferenceForm()
        self.panoptic_head = MODELS.build({**panoptic_head, 'train_cfg': train_cfg})
        self.test_cfg = test_cfg
        self._video: tuple[int, NearOnlineTracks] | None = None

    @property
    def num_classes(self) -> int:
        """N."""
        return self.panoptic_head.num_classes

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Accepts mmdet's Mask2Former-VIS checkpoints, whose head goes by another name."""
        for key in list(state_dict):
            if key.startswith(f'{prefix}track_head.'):
                state_dict[key.replace('track_head.', 'panoptic_head.', 1)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of a batch of clips (B, T, 3, H, W), see `ClipMask2FormerHead.loss`."""
        objects = [
            collate_clip_instances(sample, inputs.device, self.num_classes)
            for sample in data_samples
        ]
        return self.panoptic_head.loss(self.extract_features(inputs), inputs.shape[1], objects)

    def val_step(self, data: dict) -> list[TrackDataSample]:
        """As in mmengine, of clips of one shape."""
        _check_one_shape(data['inputs'])
        return super().val_step(data)

    def test_step(self, data: dict) -> list[TrackDataSample]:
        """As in mmengine, of clips of one shape."""
        _check_one_shape(data['inputs'])
        return super().test_step(data)

    def predict(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> list[TrackDataSample]:
        """Takes the next clips of one video after another.

        Args:
            inputs: clips (B, T, 3, H, W) in order.
            data_samples: their frames' meta information.

        Returns:
            One sample a clip, as mmengine's test loops want; `pred_tracks` are in those that end
            a video.
        """
        mode = self.modes[0]
        clips = self.segment_clips(inputs, mode)
        # A test loop's autocast is for the network: linking and finishing need float32.
        with torch.autocast(inputs.device.type, enabled=False):
            return [
                self._add_to_video(clip, sample, mode)
                for clip, sample in zip(clips, data_samples, strict=True)
            ]

    def _add_to_video(
        self, clip: NamedTuple, sample: TrackDataSample, mode: str
    ) -> TrackDataSample:
        """Takes the next clip, of `segment_clips`; the result has the tracks if it is the last."""
        first = sample[0].metainfo
        if first['clip_start'] == 0:
            self._video = first['video_id'], self.new_video(mode)
        elif self._video is None or self._video[0] != first['video_id']:
            raise AxialVSError(
                f'clip at frame {first["clip_start"]} of video {first["video_id"]} came '
                'without the clips before it; a test needs the sampler VideoClipSampler'
            )
        _, video = self._video
        video.add(clip, shapes_of(first), len(sample) - first['num_padded_frames'])
        tracks = None
        if first['clip_is_last']:
            tracks = video.finish()
            video.close()
            self._video = None
        return _as_sample(tracks, first)

    def new_scored_tracks(self) -> VideoTracks:
        """A collector with the settings of `test_cfg`."""
        return VideoTracks(self.test_cfg['max_tracks'], self.test_cfg.get('max_masks_per_frame'))

    def new_video(self, mode: str) -> NearOnlineTracks:
        """A video to which clips are added as `segment_clips` gives them in the same mode."""
        self.check_mode(mode)
        return NearOnlineTracks(self.new_scored_tracks())

    def new_stream(self, mode: str) -> ClipLinker:
        """A stream to which clips are added likewise, and which decides as it goes."""
        self.check_mode(mode)
        return ClipLinker()

    def compile(self, **options) -> None:
        """Compiles backbone and head, where the time goes; what surrounds them stays Python.

        Args:
            options: of `torch.compile`.
        """
        let_compiler_resolve_once()
        self._inference_form = InferenceForm(options)
        self.backbone.compile(**options)
        self.panoptic_head.compile(**options)

    def autocast(self) -> AbstractContextManager:
        """Where products are of the type that `precision` says."""
        if self.precision is None:
            return nullcontext()
        return torch.autocast(next(self.parameters()).device.type, self.precision)

    @torch.no_grad()
    def segment_clips(self, clips: Tensor, mode: str) -> list[ClipPrediction]:
        """What each clip (B, T, 3, H, W) gives to the video that it is a part of."""
        self.check_mode(mode)
        return self._predict_clips(clips)

    def check_mode(self, mode: str) -> None:
        """Raises ValueError for a mode that this model does not know."""
        if mode not in self.modes:
            raise AxialVSError(
                f"mode is '{mode}'; this model knows {', '.join(map(repr, self.modes))}"
            )

    def _predict_clips(self, clips: Tensor) -> list[ClipPrediction]:
        with self.autocast():
            return self.panoptic_head.predict(self.extract_features(clips), clips.shape[1])

    def extract_features(self, clips: Tensor) -> Sequence[Tensor]:
        """Backbone maps (B * T, C_l, H_l, W_l) of clips (B, T, 3, H, W), frame by frame."""
        frames = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self._inference_form.of(self.backbone)(frames)

    @torch.no_grad()
    def predict_clip(self, frames: Tensor) -> ClipPrediction:
        """Segments one clip.

        Args:
            frames: (T, 3, H, W), normalised and padded; any T.
        """
        return self._predict_clips(frames.unsqueeze(0))[0]

    @torch.no_grad()
    def predict_video(self, frames: Tensor) -> VideoPrediction:
        """Segments a video that lies in memory, clip by clip.

        Args:
            frames: (L, 3, H, W), normalised and padded.

        Returns:
            Queries in the order of the first clip, class logits averaged over the clips.
        """
        linker = ClipLinker()
        masks = []
        for clip in self._split(len(frames)):
            linked = linker.link(self.predict_clip(frames[clip.frame_indices()]))
            masks.append(linked.mask_logits[:, : clip.num_frames])
        return VideoPrediction(linker.class_logits, torch.cat(masks, dim=1))

    def _split(self, num_frames: int) -> list[Clip]:
        if self.clip_length is None:
            raise AxialVSError(
                'set `clip_length` of the model first; `axialvs.apis.init_segmenter` does'
            )
        return split_video(num_frames, self.clip_length, self.split_mode)


def _check_one_shape(clips: Sequence[Tensor]) -> None:
    """Raises ValueError where a batch would be padded: what the network finds would change."""
    shapes = sorted({tuple(clip.shape) for clip in clips})
    if len(shapes) > 1:
        raise AxialVSError(
            f'clips of a test batch have shapes (T, 3, H, W) {shapes[0]} and {shapes[-1]}, and '
            'padded to one shape they would get other results than alone; set batch_size=1 of '
            'val_dataloader and test_dataloader'
        )


def shapes_of(metainfo: dict) -> ImageShapes:
    """Sizes of a frame from its meta information."""
    return ImageShapes(
        tuple(metainfo['batch_input_shape']),
        tuple(metainfo['img_shape'][:2]),
        tuple(metainfo['ori_shape'][:2]),
    )


def _as_sample(tracks: Sequence[Track] | None, metainfo: dict) -> TrackDataSample:
    """Packs a video's tracks for the metric; None where the video goes on."""
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
