"""Keeps successive clips' queries in the order of the first clip, and their classes' mean."""

from torch import Tensor

from axialvs.postprocess.instances import check_same_shapes, finish_tracks
from axialvs.structures import ClipPrediction, ImageShapes, LinkedClip, Track
from axialvs.tracking.matching import match_queries
from axialvs.tracking.tensor_store import DEFAULT_MEMORY_LIMIT, TensorStore


class ClipLinker:
    """Near-online association (Axial-VS Sec. 3.2): each clip is matched to the clip before it.

    Its memory is one clip's queries and a running sum, whatever the video's length.
    """

    def __init__(self) -> None:
        self._previous: Tensor | None = None
        self._logit_sum: Tensor | None = None
        self.num_clips = 0

    def link(self, prediction: ClipPrediction) -> ClipPrediction:
        """Puts a clip's queries in order and takes note of its classes."""
        if self._previous is not None:
            prediction = prediction.reorder(match_queries(self._previous, prediction.identity))
        logits = prediction.class_logits.float()
        self._logit_sum = logits if self._logit_sum is None else self._logit_sum + logits
        self._previous = prediction.identity
        self.num_clips += 1
        return prediction

    def add(self, prediction: ClipPrediction) -> list[LinkedClip]:
        """Takes the next clip of a stream; near-online it is decided at once."""
        return [LinkedClip(self.link(prediction).mask_logits, self.class_logits)]

    def finish(self) -> list[LinkedClip]:
        """Clips that still wait when the stream has ended: none."""
        return []

    @property
    def class_logits(self) -> Tensor:
        """Mean over the clips so far, (Q, N + 1)."""
        if self._logit_sum is None:
            raise RuntimeError('no clip was linked yet')
        return self._logit_sum / self.num_clips


class VideoTracks:
    """Collects a video's linked predictions and turns them into scored tracks.

    Args:
        max_tracks: (query, class) pairs kept for a video.
        max_masks_per_frame: in each frame only so many pairs of highest frame score keep their
            mask, as in the release; None keeps all.
        memory_limit: bytes of mask logits kept in memory, see `TensorStore`.
    """

    def __init__(
        self,
        max_tracks: int = 100,
        max_masks_per_frame: int | None = None,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
    ) -> None:
        self.max_tracks = max_tracks
        self.max_masks_per_frame = max_masks_per_frame
        self._store = TensorStore(memory_limit)
        self._geometry: ImageShapes | None = None

    def add(self, mask_logits: Tensor, shapes: ImageShapes) -> None:
        """Takes the next clip's mask logits (Q, T, H, W), linked, without frames that were padded.

        Raises:
            ValueError: if the frames' sizes differ from those before.
        """
        self._geometry = check_same_shapes(self._geometry, shapes)
        self._store.append(mask_logits)

    def finish(self, class_logits: Tensor) -> list[Track]:
        """Chooses and finishes the tracks, see `finish_tracks`.

        Args:
            class_logits: mean over the video, (Q, N + 1).
        """
        return finish_tracks(
            class_logits,
            self._store.read,
            self._geometry,
            self.max_tracks,
            self.max_masks_per_frame,
        )

    def close(self) -> None:
        """Gives memory and file back."""
        self._store.close()


class NearOnlineTracks:
    """The tracks of a video whose clips come one by one, each linked to the one before.

    Args:
        scored: collects what is linked.
    """

    def __init__(self, scored: VideoTracks) -> None:
        self._linker = ClipLinker()
        self._scored = scored

    def add(self, clip: ClipPrediction, shapes: ImageShapes, num_frames: int) -> None:
        """Takes the next clip, of which `num_frames` are frames of the video."""
        linked = self._linker.link(clip)
        self._scored.add(linked.mask_logits[:, :num_frames], shapes)

    def finish(self) -> list[Track]:
        """The tracks of all clips."""
        return self._scored.finish(self._linker.class_logits)

    def close(self) -> None:
        """Gives memory and file back."""
        self._scored.close()
