"""Offline tracking: the queries of all clips are refined together (Axial-VS Sec. 3.3)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from axialvs.functional.dot_product_masks import dot_product_masks
from axialvs.postprocess.finisher import Finisher, check_same_shapes
from axialvs.structures import ClipFeatures, ImageShapes, LinkedClip, Track, VideoPrediction
from axialvs.tracking.matching import match_queries
from axialvs.tracking.tensor_store import Precision, TensorStore
from axialvs.utils.errors import AxialVSError

# About 68 frames of 384x640 with 256 channels; longer videos go to a temporary file.
DEFAULT_FEATURE_MEMORY = 2**30


class RefinedVideo(NamedTuple):
    """Refined clips of a video, queries in the order of its first clip if `keeps_queries`."""

    class_logits: Tensor  # (Q, N + 1)
    mask_embeddings: Tensor  # (K, Q, C)
    predict_masks: Callable[[Tensor, Tensor], Tensor] = dot_product_masks
    keeps_queries: bool = True  # see `CrossClipModule`

    def reorder(self, order: Tensor) -> 'RefinedVideo':
        """Permute the queries by indices (Q,)."""
        return self._replace(
            class_logits=self.class_logits[order], mask_embeddings=self.mask_embeddings[:, order]
        )

    def mask_logits(self, clip: int, mask_features: Tensor) -> Tensor:
        """Compute the mask logits (Q, T, H, W) of a clip from its mask features (T, C, H, W)."""
        embeddings = self.mask_embeddings[clip]
        features = mask_features.to(embeddings.dtype)
        with torch.no_grad():
            return self.predict_masks(embeddings.unsqueeze(0), features.unsqueeze(0))[0]


# Refines clips from their identities and queries (K, Q, C).
Refine = Callable[[Tensor, Tensor], RefinedVideo]


@torch.no_grad()
def _refine(refine: Refine, identities: list[Tensor], queries: list[Tensor]) -> RefinedVideo:
    return refine(torch.stack(identities), torch.stack(queries))


class OfflineVideo:
    """Tracks of a video whose clips are refined together at its end.

    Args:
        refine: refines the clips.
        finisher: selects and finishes the tracks.
        feature_memory: bytes of mask features in memory, see `TensorStore`.
        feature_precision: precision of the stored mask features.
    """

    def __init__(
        self,
        refine: Refine,
        finisher: Finisher,
        feature_memory: int = DEFAULT_FEATURE_MEMORY,
        feature_precision: Precision = 'float32',
    ) -> None:
        self._refine = refine
        self._finisher = finisher
        self._identities: list[Tensor] = []
        self._queries: list[Tensor] = []
        self._features = TensorStore(feature_memory, feature_precision)
        self._shapes: ImageShapes | None = None

    def add(self, clip: ClipFeatures, shapes: ImageShapes, num_frames: int) -> None:
        """Add the next clip, see `VideoTracks.add`."""
        self._shapes = check_same_shapes(self._shapes, shapes)
        self._features.append(clip.mask_features[:num_frames])
        self._identities.append(clip.identity)
        self._queries.append(clip.queries)

    def finish(self) -> list[Track]:
        """Refine all clips, then select and finish the tracks."""
        if self._shapes is None:
            return []
        refined = _refine(self._refine, self._identities, self._queries)

        def read_logits(queries: Tensor) -> Iterator[Tensor]:
            for clip, features in enumerate(self._features.read()):
                # Select after computing all masks: bit-equal to processing the whole video at once.
                yield refined.mask_logits(clip, features.to(refined.class_logits.device))[queries]

        return self._finisher.finish(refined.class_logits, read_logits, self._shapes)

    def close(self) -> None:
        """Release memory and temporary file."""
        self._features.close()


class WindowSettings(NamedTuple):
    """Sliding window of clips in a stream."""

    num_clips: int = 16  # refined together
    overlap: int = 4  # clips shared by neighboring windows


class OfflineWindow:
    """Refine the last K clips of a stream together, with the memory of one window.

    Each new clip is matched to the previous clip, so an object keeps its query across windows;
    queries that are not aligned to those of the clips are matched by their mask embeddings. Among
    the clips that neighboring windows share, the first half take their masks from the earlier
    window and the rest from the later one, so that every clip is refined with context on both
    sides. For a video of at most K clips, the result equals that of `OfflineVideo`.

    Args:
        refine: refines the clips of a window.
        settings: size and overlap.

    Raises:
        AxialVSError: if the overlap is not smaller than the window.
    """

    def __init__(self, refine: Refine, settings: WindowSettings) -> None:
        self.num_clips, self.overlap = settings
        if not 0 <= self.overlap < self.num_clips:
            raise AxialVSError(
                f'test_cfg.window: overlap is {self.overlap}, but num_clips {self.num_clips}; set '
                f'the overlap to 0..{self.num_clips - 1}'
            )
        self._refine = refine
        self._clips: list[ClipFeatures] = []
        self._num_decided = 0  # clips of the window that have been returned
        self._last_embeddings: Tensor | None = None  # (Q, C) of the previous window
        self._logit_sum: Tensor | float = 0.0
        self._logit_clips = 0

    def add(self, clip: ClipFeatures) -> list[LinkedClip]:
        """Add the next clip; returns the clips that became final, in order."""
        if self._clips:
            clip = clip.reorder(match_queries(self._clips[-1].identity, clip.identity))
        self._clips.append(clip)
        if len(self._clips) < self.num_clips:
            return []
        # The second half of the shared clips is decided by the next window.
        decided = self._decide(self.num_clips - (self.overlap + 1) // 2)
        step = self.num_clips - self.overlap
        del self._clips[:step]
        self._num_decided -= step
        return decided

    def finish(self) -> list[LinkedClip]:
        """End the stream; returns the clips that were still pending."""
        return self._decide(len(self._clips))

    def _decide(self, end: int) -> list[LinkedClip]:
        start, self._num_decided = self._num_decided, end
        if start == end:
            return []
        refined = _refine(
            self._refine, [x.identity for x in self._clips], [x.queries for x in self._clips]
        )
        if not refined.keeps_queries:
            if self._last_embeddings is not None:
                order = match_queries(self._last_embeddings, refined.mask_embeddings[0])
                refined = refined.reorder(order)
            self._last_embeddings = refined.mask_embeddings[-1]
        # Windows are weighted by the number of clips they decide.
        self._logit_sum = self._logit_sum + (end - start) * refined.class_logits.float()
        self._logit_clips += end - start
        class_logits = self._logit_sum / self._logit_clips
        return [
            LinkedClip(refined.mask_logits(k, self._clips[k].mask_features), class_logits)
            for k in range(start, end)
        ]


class OfflineTracker:
    """Offline association of a clip-level segmenter with a cross-clip module.

    Args:
        encode: maps clips (B, T, 3, H, W) to features.
        refine: refines clips together.
        finisher: turns a video's logits into tracks.
        window: sliding window for streams.
        feature_memory, feature_precision: see `OfflineVideo`.
    """

    default_protocol: Literal['live', 'scored'] = 'scored'

    def __init__(
        self,
        encode: Callable[[Tensor], list[ClipFeatures]],
        refine: Refine,
        finisher: Finisher,
        window: WindowSettings = WindowSettings(),  # noqa: B008, immutable
        feature_memory: int = DEFAULT_FEATURE_MEMORY,
        feature_precision: Precision = 'float32',
    ) -> None:
        self.encode = encode
        self.finisher = finisher
        self._refine = refine
        self._window = window
        self._feature_memory = feature_memory
        self._feature_precision = feature_precision

    def stream(self) -> OfflineWindow:
        """Start a stream."""
        return OfflineWindow(self._refine, self._window)

    def video(self) -> OfflineVideo:
        """Start a video."""
        return OfflineVideo(
            self._refine, self.finisher, self._feature_memory, self._feature_precision
        )

    def predict(self, clips: Sequence[ClipFeatures], lengths: Sequence[int]) -> VideoPrediction:
        """Predict a video in memory, see `Tracker.predict`."""
        refined = _refine(self._refine, [x.identity for x in clips], [x.queries for x in clips])
        masks = [
            refined.mask_logits(k, clip.mask_features[:length])
            for k, (clip, length) in enumerate(zip(clips, lengths, strict=True))
        ]
        return VideoPrediction(refined.class_logits, torch.cat(masks, dim=1))
