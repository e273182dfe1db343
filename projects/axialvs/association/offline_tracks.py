"""Offline tracks: clips leave queries and mask features, which wait for the video's end."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from axialvs.association.finishing import finish_tracks, same_geometry
from axialvs.association.tensor_store import Precision, TensorStore
from axialvs.structures import FrameGeometry, Track

# Some 68 frames of 384x640 with 256 channels; longer videos go to a file.
DEFAULT_FEATURE_MEMORY = 2**30


class ClipFeatures(NamedTuple):
    """What a clip leaves for the offline refinement."""

    queries: Tensor  # (Q, C), the last decoder layer's, before its norm
    mask_features: Tensor  # (T, C, H, W)


class RefinedVideo(NamedTuple):
    """What the refinement makes of the queries of all clips, in the order of the first clip's."""

    class_logits: Tensor  # (Q, N + 1)
    mask_embeddings: Tensor  # (K, Q, C)

    def mask_logits(self, clip: int, mask_features: Tensor) -> Tensor:
        """Masks (Q, T, H, W) of a clip with these mask features (T, C, H, W), of any type."""
        embeddings = self.mask_embeddings[clip]
        return torch.einsum('qc,tchw->qthw', embeddings, mask_features.to(embeddings.dtype))


class OfflineTracks:
    """The tracks of a video whose clips are refined together at its end.

    Args:
        refine: makes a `RefinedVideo` of the queries of all clips (K, Q, C).
        max_tracks, max_masks_per_frame: as in `ScoredTracks`.
        feature_memory: bytes of mask features kept in memory, beyond which all go to a temporary
            file, see `TensorStore`.
        feature_precision: of the mask features that wait.
    """

    def __init__(
        self,
        refine: Callable[[Tensor], RefinedVideo],
        max_tracks: int = 100,
        max_masks_per_frame: int | None = None,
        feature_memory: int = DEFAULT_FEATURE_MEMORY,
        feature_precision: Precision = 'float32',
    ) -> None:
        self.max_tracks = max_tracks
        self.max_masks_per_frame = max_masks_per_frame
        self._refine = refine
        self._queries: list[Tensor] = []
        self._features = TensorStore(feature_memory, feature_precision)
        self._geometry: FrameGeometry | None = None

    def add(self, clip: ClipFeatures, geometry: FrameGeometry, num_frames: int) -> None:
        """Takes the next clip, of which `num_frames` are frames of the video.

        Raises:
            ValueError: if the frames' sizes differ from those before.
        """
        self._geometry = same_geometry(self._geometry, geometry)
        self._queries.append(clip.queries)
        self._features.append(clip.mask_features[:num_frames])

    def finish(self) -> list[Track]:
        """Refines all clips' queries and finishes the tracks, see `finish_tracks`."""
        refined = self._refine(torch.stack(self._queries))

        def read_logits(queries: Tensor) -> Iterator[Tensor]:
            for clip, features in enumerate(self._features.read()):
                # All masks, then the chosen: as precise as all at once, to the last digit.
                yield refined.mask_logits(clip, features.to(refined.class_logits.device))[queries]

        return finish_tracks(
            refined.class_logits,
            read_logits,
            self._geometry,
            self.max_tracks,
            self.max_masks_per_frame,
        )

    def close(self) -> None:
        """Gives memory and file back."""
        self._features.close()
