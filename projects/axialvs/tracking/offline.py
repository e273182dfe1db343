"""Offline tracks: clips leave queries and mask features, which wait for the video's end."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from axialvs.postprocess.instances import check_same_shapes, finish_tracks
from axialvs.structures import ImageShapes, LinkedClip, Track
from axialvs.tracking.matching import match_queries
from axialvs.tracking.tensor_store import Precision, TensorStore
from axialvs.utils.errors import AxialVSError

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
        max_tracks, max_masks_per_frame: as in `VideoTracks`.
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
        self._geometry: ImageShapes | None = None

    def add(self, clip: ClipFeatures, shapes: ImageShapes, num_frames: int) -> None:
        """Takes the next clip, of which `num_frames` are frames of the video.

        Raises:
            ValueError: if the frames' sizes differ from those before.
        """
        self._geometry = check_same_shapes(self._geometry, shapes)
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


class OfflineWindow:
    """Refines the last K clips together and moves on; memory is that of one window.

    Each clip's queries are matched to the clip before it when it comes, so an object keeps its
    query from window to window. Neighbouring windows share clips: the first half of these get
    their masks from the earlier window, the others from the later one, so that a clip is refined
    with clips on both of its sides. A video of at most K clips gives what `OfflineTracks` gives.

    Args:
        refine: makes a `RefinedVideo` of the queries of some clips (K, Q, C).
        num_clips: K.
        overlap: clips that neighbouring windows share.

    Raises:
        ValueError: if the window could not move on.
    """

    def __init__(
        self, refine: Callable[[Tensor], RefinedVideo], num_clips: int, overlap: int
    ) -> None:
        if not 0 <= overlap < num_clips:
            raise AxialVSError(
                f'a window of {num_clips} clips cannot share {overlap} with the next; the overlap '
                f'is from 0 to {num_clips - 1}'
            )
        self.num_clips = num_clips
        self.overlap = overlap
        self._refine = refine
        self._clips: list[ClipFeatures] = []
        self._num_decided = 0  # of the clips in the window, how many are given already
        self._logit_sum: Tensor | float = 0.0
        self._logit_clips = 0

    def add(self, clip: ClipFeatures) -> list[LinkedClip]:
        """Takes the next clip; gives the clips that are decided now, in order."""
        if self._clips:
            order = match_queries(self._clips[-1].queries, clip.queries)
            clip = ClipFeatures(clip.queries[order], clip.mask_features)
        self._clips.append(clip)
        if len(self._clips) < self.num_clips:
            return []
        # The later half of the shared clips waits for the next window.
        decided = self._decide(self.num_clips - (self.overlap + 1) // 2)
        step = self.num_clips - self.overlap
        del self._clips[:step]
        self._num_decided -= step
        return decided

    def finish(self) -> list[LinkedClip]:
        """Gives the clips that still wait when the stream has ended."""
        return self._decide(len(self._clips))

    def _decide(self, end: int) -> list[LinkedClip]:
        start, self._num_decided = self._num_decided, end
        if start == end:
            return []
        refined = self._refine(torch.stack([clip.queries for clip in self._clips]))
        # Windows count by the clips that they decide.
        self._logit_sum = self._logit_sum + (end - start) * refined.class_logits.float()
        self._logit_clips += end - start
        class_logits = self._logit_sum / self._logit_clips
        return [
            LinkedClip(refined.mask_logits(k, self._clips[k].mask_features), class_logits)
            for k in range(start, end)
        ]
