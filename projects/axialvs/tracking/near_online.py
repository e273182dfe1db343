"""Near-online tracking: each clip is matched to the previous clip (Axial-VS Sec. 3.2)."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from axialvs.postprocess.finisher import Finisher, check_same_shapes
from axialvs.structures import ClipPrediction, ImageShapes, LinkedClip, Track, VideoPrediction
from axialvs.tracking.matching import match_queries
from axialvs.tracking.tensor_store import DEFAULT_MEMORY_LIMIT, TensorStore
from axialvs.tracking.tracker import ClipStream, VideoTracks


class ClipLinker:
    """Align successive clips and average their class logits.

    Memory is one clip's identities and a running sum, whatever the length of the video.
    """

    def __init__(self) -> None:
        self._previous: Tensor | None = None
        self._logit_sum: Tensor | None = None
        self.num_clips = 0

    def link(self, prediction: ClipPrediction) -> ClipPrediction:
        """Reorder a clip's queries to follow the clip before, and add its class logits."""
        if self._previous is not None:
            prediction = prediction.reorder(match_queries(self._previous, prediction.identity))
        logits = prediction.class_logits.float()
        self._logit_sum = logits if self._logit_sum is None else self._logit_sum + logits
        self._previous = prediction.identity
        self.num_clips += 1
        return prediction

    def add(self, clip: ClipPrediction) -> list[LinkedClip]:
        """Add the next clip of a stream, which is final at once."""
        return [LinkedClip(self.link(clip).mask_logits, self.class_logits)]

    def finish(self) -> list[LinkedClip]:
        """No clip is ever pending."""
        return []

    @property
    def class_logits(self) -> Tensor:
        """Mean over the clips so far, (Q, N + 1)."""
        if self._logit_sum is None:
            raise RuntimeError('no clip was linked yet')
        return self._logit_sum / self.num_clips


class NearOnlineVideo:
    """Tracks of a video whose mask logits wait in a `TensorStore` until its end.

    Args:
        finisher: selects and finishes the tracks.
        memory_limit: bytes of mask logits in memory, see `TensorStore`.
        score_padded: whether padded frames count in the choice of tracks, as in the release of
            Video-kMaX.
    """

    def __init__(
        self,
        finisher: Finisher,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
        score_padded: bool = False,
    ) -> None:
        self._finisher = finisher
        self._linker = ClipLinker()
        self._store = TensorStore(memory_limit)
        self._score_padded = score_padded
        self._num_frames = 0
        self._shapes: ImageShapes | None = None

    def add(self, clip: ClipPrediction, shapes: ImageShapes, num_frames: int) -> None:
        """Add the next clip, see `VideoTracks.add`."""
        self._shapes = check_same_shapes(self._shapes, shapes)
        mask_logits = self._linker.link(clip).mask_logits
        self._store.append(mask_logits if self._score_padded else mask_logits[:, :num_frames])
        self._num_frames += num_frames

    def finish(self) -> list[Track]:
        """Select and finish the tracks."""
        if self._shapes is None:
            return []
        tracks = self._finisher.finish(self._linker.class_logits, self._store.read, self._shapes)
        return without_padding(tracks, self._num_frames)

    def close(self) -> None:
        """Release memory and temporary file."""
        self._store.close()


def without_padding(tracks: list[Track], num_frames: int) -> list[Track]:
    """Cut the padded frames at the end of a video's tracks, and tracks that are only there."""
    for track in tracks:
        del track.segmentations[num_frames:]
    return [track for track in tracks if any(track.segmentations)]


class NearOnlineTracker:
    """Near-online association of a clip-level segmenter.

    Args:
        encode: predictions for clips (B, T, 3, H, W).
        finisher: turns a video's logits into tracks.
        score_padded: see `NearOnlineVideo`.
    """

    default_protocol: Literal['live', 'scored'] = 'live'

    def __init__(
        self,
        encode: Callable[[Tensor], list[ClipPrediction]],
        finisher: Finisher,
        score_padded: bool = False,
    ) -> None:
        self.encode = encode
        self.finisher = finisher
        self._score_padded = score_padded

    def stream(self) -> ClipStream[ClipPrediction]:
        """Start a stream."""
        return ClipLinker()

    def video(self) -> VideoTracks[ClipPrediction]:
        """Start a video."""
        return NearOnlineVideo(self.finisher, score_padded=self._score_padded)

    def predict(self, clips: Sequence[ClipPrediction], lengths: Sequence[int]) -> VideoPrediction:
        """Prediction for a video in memory, see `Tracker.predict`."""
        linker = ClipLinker()
        masks = [
            linker.link(clip).mask_logits[:, :length]
            for clip, length in zip(clips, lengths, strict=True)
        ]
        return VideoPrediction(linker.class_logits, torch.cat(masks, dim=1))
