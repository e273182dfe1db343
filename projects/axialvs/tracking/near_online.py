"""Near-online tracking: each clip is matched to the previous clip (Axial-VS Sec. 3.2)."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from axialvs.postprocess.finisher import Finisher, check_same_shapes
from axialvs.structures import ClipPrediction, ImageShapes, Track, VideoPrediction
from axialvs.tracking.linking import ClipLinker, LinkSettings, OverlappingClips
from axialvs.tracking.tensor_store import DEFAULT_MEMORY_LIMIT, TensorStore
from axialvs.tracking.tracker import ClipStream, VideoTracks


class NearOnlineVideo:
    """Tracks of a video whose mask logits are kept in a `TensorStore` until its end.

    Args:
        finisher: selects and finishes the tracks.
        memory_limit: bytes of mask logits in memory, see `TensorStore`.
        score_padded: whether padded frames count for the selection of tracks, as in the release of
            Video-kMaX.
        linking: how clips are linked.
    """

    def __init__(
        self,
        finisher: Finisher,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
        score_padded: bool = False,
        linking: LinkSettings = LinkSettings(),  # noqa: B008, immutable
    ) -> None:
        self._finisher = finisher
        self._linker = ClipLinker(linking)
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
    """Remove padded frames at the end of a video, and tracks that only occur in them."""
    for track in tracks:
        del track.segmentations[num_frames:]
    return [track for track in tracks if any(track.segmentations)]


class NearOnlineTracker:
    """Near-online association of a clip-level segmenter.

    Args:
        encode: maps clips (B, T, 3, H, W) to predictions.
        finisher: turns a video's logits into tracks.
        score_padded, linking: see `NearOnlineVideo`.
    """

    default_protocol: Literal['live', 'scored'] = 'live'

    def __init__(
        self,
        encode: Callable[[Tensor], list[ClipPrediction]],
        finisher: Finisher,
        score_padded: bool = False,
        linking: LinkSettings = LinkSettings(),  # noqa: B008, immutable
    ) -> None:
        self.encode = OverlappingClips(encode, linking.overlap) if linking.overlap else encode
        self.finisher = finisher
        self._linking = linking
        self._score_padded = score_padded

    def stream(self) -> ClipStream[ClipPrediction]:
        """Start a stream."""
        return ClipLinker(self._linking)

    def video(self) -> VideoTracks[ClipPrediction]:
        """Start a video."""
        return NearOnlineVideo(
            self.finisher, score_padded=self._score_padded, linking=self._linking
        )

    def predict(self, clips: Sequence[ClipPrediction], lengths: Sequence[int]) -> VideoPrediction:
        """Predict a video in memory, see `Tracker.predict`."""
        linker = ClipLinker(self._linking)
        masks = [
            linker.link(clip).mask_logits[:, :length]
            for clip, length in zip(clips, lengths, strict=True)
        ]
        return VideoPrediction(linker.class_logits, torch.cat(masks, dim=1))
