"""Offline refinement in a window that slides over an endless stream."""

from collections.abc import Callable

import torch
from torch import Tensor

from axialvs.association.offline_tracks import ClipFeatures, RefinedVideo
from axialvs.association.query_matching import match_queries
from axialvs.structures import DecidedClip


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
            raise ValueError(
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

    def add(self, clip: ClipFeatures) -> list[DecidedClip]:
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

    def finish(self) -> list[DecidedClip]:
        """Gives the clips that still wait when the stream has ended."""
        return self._decide(len(self._clips))

    def _decide(self, end: int) -> list[DecidedClip]:
        start, self._num_decided = self._num_decided, end
        if start == end:
            return []
        refined = self._refine(torch.stack([clip.queries for clip in self._clips]))
        # Windows count by the clips that they decide.
        self._logit_sum = self._logit_sum + (end - start) * refined.class_logits.float()
        self._logit_clips += end - start
        class_logits = self._logit_sum / self._logit_clips
        return [
            DecidedClip(refined.mask_logits(k, self._clips[k].mask_features), class_logits)
            for k in range(start, end)
        ]
