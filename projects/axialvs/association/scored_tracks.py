"""The published protocol: tracks are chosen by averages over the whole video, at its end."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from axialvs.association.logit_store import DEFAULT_MEMORY_LIMIT, LogitStore
from axialvs.association.selection import SelectedPairs, select_pairs
from axialvs.functional.masks import encode_masks, mask_quality, resize_mask_logits
from axialvs.structures import FrameGeometry, Track


class FinishedFrame(NamedTuple):
    """The chosen queries in one frame."""

    masks: np.ndarray  # (n, H, W) bool at the original size
    quality: Tensor  # (n,) mean probability inside the mask


class ScoredTracks:
    """Collects a video's linked predictions and turns them into scored tracks.

    Args:
        max_tracks: (query, class) pairs kept for a video.
        max_masks_per_frame: in each frame only so many pairs of highest frame score keep their
            mask, as in the release; None keeps all.
        memory_limit: bytes of mask logits kept in memory, see `LogitStore`.
    """

    def __init__(
        self,
        max_tracks: int = 100,
        max_masks_per_frame: int | None = None,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
    ) -> None:
        self.max_tracks = max_tracks
        self.max_masks_per_frame = max_masks_per_frame
        self._store = LogitStore(memory_limit)
        self._geometry: FrameGeometry | None = None

    def add(self, mask_logits: Tensor, geometry: FrameGeometry) -> None:
        """Takes the next clip's mask logits (Q, T, H, W), linked, without frames that were padded.

        Raises:
            ValueError: if the frames' sizes differ from those before.
        """
        if self._geometry not in (None, geometry):
            raise ValueError(
                f'frames change size within a video: {self._geometry} before, {geometry} now'
            )
        self._geometry = geometry
        self._store.append(mask_logits)

    def frames(self, queries: Tensor) -> Iterator[FinishedFrame]:
        """Finishes the masks of some queries (n,) frame by frame."""
        for logits in self._store.read(queries):
            # One frame at a time: at full size a clip of 100 masks fills gigabytes.
            for frame_logits in logits.split(1, dim=1):
                full = resize_mask_logits(frame_logits, self._geometry).squeeze(1)
                yield FinishedFrame((full > 0).numpy(), mask_quality(full))

    def finish(self, class_logits: Tensor) -> list[Track]:
        """Chooses and finishes the tracks.

        A track's score is its class probability times the mean probability inside its mask,
        averaged over the frames that count: those with a mask, or with `max_masks_per_frame` those
        that it survived in.

        Args:
            class_logits: mean over the video, (Q, N + 1).

        Returns:
            Tracks of highest class probability first, ids from 1.
        """
        pairs = SelectedPairs(
            *(x.cpu() for x in select_pairs(class_logits.float(), self.max_tracks))
        )
        # A query that occurs with several classes is finished once.
        queries, mask_of_pair = pairs.queries.unique(return_inverse=True)
        segmentations: list[list[dict | None]] = [[] for _ in mask_of_pair]
        score_sum = torch.zeros(len(mask_of_pair))
        counted = torch.zeros(len(mask_of_pair))
        for frame in self.frames(queries):
            encoded = encode_masks(frame.masks)
            present = torch.tensor([x is not None for x in encoded])[mask_of_pair]
            scores = pairs.probabilities * frame.quality[mask_of_pair]
            survives = self._surviving(scores, present)
            score_sum += scores * survives
            counted += survives
            for pair, keep in enumerate(survives.tolist()):
                segmentations[pair].append(encoded[mask_of_pair[pair]] if keep else None)
        scores = score_sum / counted.clamp(min=1)
        return [
            Track(i + 1, int(label), float(score), list(segmentation))
            for i, (label, score, segmentation) in enumerate(
                zip(pairs.labels, scores, segmentations, strict=True)
            )
        ]

    def _surviving(self, scores: Tensor, present: Tensor) -> Tensor:
        """Which pairs (n,) keep their mask in a frame with these frame scores (n,)."""
        if self.max_masks_per_frame is None:
            return present
        best = scores.topk(min(self.max_masks_per_frame, len(scores))).indices
        survives = torch.zeros_like(present)
        survives[best] = True
        return survives

    def close(self) -> None:
        """Gives memory and file back."""
        self._store.close()
