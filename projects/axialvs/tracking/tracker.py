"""Interface of trackers, which associate clip-level predictions in a stream or a whole video."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from torch import Tensor

from axialvs.postprocess.finisher import Finisher
from axialvs.structures import ImageShapes, LinkedClip, Track, VideoPrediction

# Output of the network that a tracker keeps per clip.
ClipT = TypeVar('ClipT')
ClipIn = TypeVar('ClipIn', contravariant=True)


class ClipStream(Protocol[ClipIn]):
    """Output clips in order while the video runs."""

    def add(self, clip: ClipIn) -> list[LinkedClip]:
        """Add the next clip; returns the clips that became final."""

    def finish(self) -> list[LinkedClip]:
        """End the stream; returns the clips that were still pending."""


class VideoTracks(Protocol[ClipIn]):
    """Collect the clips of a video and finish its tracks at the end."""

    def add(self, clip: ClipIn, shapes: ImageShapes, num_frames: int) -> None:
        """Add the next clip; frames after the first `num_frames` are padding.

        Raises:
            FrameShapeError: if the frame shapes differ from those of earlier clips.
        """

    def finish(self) -> list[Track]:
        """Select and finish the tracks."""

    def close(self) -> None:
        """Release memory and temporary files."""


class Tracker(Protocol[ClipT]):
    """Association of clips, near-online or offline."""

    finisher: Finisher
    default_protocol: Literal['live', 'scored']

    def encode(self, clips: Tensor) -> list[ClipT]:
        """Run the network on clips (B, T, 3, H, W)."""

    def stream(self) -> ClipStream[ClipT]:
        """Start a stream."""

    def video(self) -> VideoTracks[ClipT]:
        """Start a video."""

    def predict(self, clips: Sequence[ClipT], lengths: Sequence[int]) -> VideoPrediction:
        """Predict a video in memory, given the number of unpadded frames of each clip."""
