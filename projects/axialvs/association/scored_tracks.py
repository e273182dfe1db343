"""The published protocol: tracks are chosen by averages over the whole video, at its end."""

from torch import Tensor

from axialvs.association.clip_linker import ClipLinker
from axialvs.association.finishing import finish_tracks, same_geometry
from axialvs.association.tensor_store import DEFAULT_MEMORY_LIMIT, TensorStore
from axialvs.structures import ClipPrediction, FrameGeometry, Track


class ScoredTracks:
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
        self._geometry: FrameGeometry | None = None

    def add(self, mask_logits: Tensor, geometry: FrameGeometry) -> None:
        """Takes the next clip's mask logits (Q, T, H, W), linked, without frames that were padded.

        Raises:
            ValueError: if the frames' sizes differ from those before.
        """
        self._geometry = same_geometry(self._geometry, geometry)
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

    def __init__(self, scored: ScoredTracks) -> None:
        self._linker = ClipLinker()
        self._scored = scored

    def add(self, clip: ClipPrediction, geometry: FrameGeometry, num_frames: int) -> None:
        """Takes the next clip, of which `num_frames` are frames of the video."""
        linked = self._linker.link(clip)
        self._scored.add(linked.mask_logits[:, :num_frames], geometry)

    def finish(self) -> list[Track]:
        """The tracks of all clips."""
        return self._scored.finish(self._linker.class_logits)

    def close(self) -> None:
        """Gives memory and file back."""
        self._scored.close()
