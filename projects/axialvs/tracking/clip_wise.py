"""Clip-wise tracking: clips are merged independently, then a memory links their things."""

from axialvs.postprocess.finisher import Finisher, check_same_shapes
from axialvs.structures import ClipPrediction, ImageShapes, LinkedClip, Track
from axialvs.tracking.near_online import NearOnlineTracker, without_padding
from axialvs.tracking.tracker import ClipStream, VideoTracks


class SingleClips:
    """A stream that passes clips through without alignment or averaging."""

    def add(self, clip: ClipPrediction) -> list[LinkedClip]:
        """Return the next clip."""
        return [LinkedClip(clip.mask_logits, clip.class_logits, clip.identity)]

    def finish(self) -> list[LinkedClip]:
        """Return no clips, because none are pending."""
        return []


class ClipWiseVideo:
    """Tracks of a video that only keeps finished masks in memory.

    Args:
        finisher: merges clips and links their things.
        score_padded: see `NearOnlineVideo`.
    """

    def __init__(self, finisher: Finisher, score_padded: bool = False) -> None:
        self._stream = finisher.stream(0.0)
        self._score_padded = score_padded
        self._num_frames = 0
        self._shapes: ImageShapes | None = None

    def add(self, clip: ClipPrediction, shapes: ImageShapes, num_frames: int) -> None:
        """Add the next clip, see `VideoTracks.add`."""
        self._shapes = check_same_shapes(self._shapes, shapes)
        masks = clip.mask_logits if self._score_padded else clip.mask_logits[:, :num_frames]
        self._stream.add(masks, clip.class_logits, shapes, clip.identity)
        self._num_frames += num_frames

    def finish(self) -> list[Track]:
        """Return the tracks."""
        return without_padding(self._stream.tracks(), self._num_frames)

    def close(self) -> None:
        """Do nothing: no resources are held."""


class ClipWiseTracker(NearOnlineTracker):
    """Near-online association of things after the merge (Video-kMaX's clip-wise inference).

    `predict` aligns queries as in the base class, because it returns logits.

    Args:
        encode, finisher, score_padded: as in `NearOnlineTracker`; the finisher needs a memory.
    """

    def stream(self) -> ClipStream[ClipPrediction]:
        """Start a stream."""
        return SingleClips()

    def video(self) -> VideoTracks[ClipPrediction]:
        """Start a video."""
        return ClipWiseVideo(self.finisher, self._score_padded)
