"""Video panoptic segments as tracks without overlap: one per thing, one per stuff class."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from axialvs.postprocess.finisher import LogitReader, StreamedClip, StreamedTracks
from axialvs.postprocess.panoptic import (
    MergedVideo,
    PanopticSegment,
    PanopticThresholds,
    merge_panoptic,
)
from axialvs.postprocess.panoptic_fusion import FusionThresholds
from axialvs.structures import ImageShapes, Track
from axialvs.utils.rle import encode_masks

# `merge_panoptic` or `fuse_panoptic`; the last argument is the type of thresholds it takes.
Merge = Callable[[Tensor, LogitReader, ImageShapes, Collection[int], Any], MergedVideo]


class ThingMemory(Protocol):
    """Link the things of clips that were merged independently, such as `ClipMemory`."""

    def link(self, labels: Tensor, embeddings: Tensor) -> list[int]:
        """Return video-level ids of the next clip's things with (n,) labels, (n, C) embeddings."""


# Creates the memory that links things by embedding; None links them by query.
NewMemory = Callable[[], ThingMemory] | None


class PanopticFinisher:
    """Output things and stuff without overlap.

    Args:
        thing_labels: labels of thing classes; all others are stuff.
        thresholds: thresholds of the merge.
        merge: `merge_panoptic` (Video-kMaX) or `fuse_panoptic` (Mask2Former).
        new_memory: see `NewMemory`.
    """

    def __init__(
        self,
        thing_labels: Collection[int],
        thresholds: PanopticThresholds | FusionThresholds | None = None,
        merge: Merge = merge_panoptic,
        new_memory: NewMemory = None,
    ) -> None:
        self.thing_labels = frozenset(thing_labels)
        self.thresholds = PanopticThresholds() if thresholds is None else thresholds
        self.merge = merge
        self.new_memory = new_memory

    def finish(
        self, class_logits: Tensor, read_logits: LogitReader, shapes: ImageShapes
    ) -> list[Track]:
        """Merge a whole video.

        Args:
            class_logits: (Q, N + 1) of the whole video.
            read_logits: yields the mask logits of queries; called twice.
            shapes: shapes of the frames.

        Returns:
            Non-empty segments, best first, with the ids of the merge.
        """
        merged = self.merge(class_logits, read_logits, shapes, self.thing_labels, self.thresholds)
        rles: list[list[dict | None]] = [[] for _ in merged.segments]
        for ids in merged.frames():
            for of_segment, segment in zip(rles, merged.segments, strict=True):
                of_segment.extend(encode_masks((ids == segment.id)[None]))
        return [
            Track(segment.id, segment.label, segment.score, of_segment, segment.is_thing)
            for segment, of_segment in zip(merged.segments, rles, strict=True)
            if any(of_segment)
        ]

    def stream(self, score_thr: float) -> 'PanopticStream':
        """Start a stream that outputs classes of at least this probability."""
        memory = None if self.new_memory is None else self.new_memory()
        thresholds = self.thresholds.at_least(score_thr)
        return PanopticStream(self.thing_labels, thresholds, self.merge, memory)


class PanopticStream:
    """Merge clip by clip: a thing keeps its id while it is linked, a stuff class always.

    Args:
        thing_labels: labels of thing classes.
        thresholds: thresholds of the merge.
        merge: see `PanopticFinisher`.
        memory: links the things; None if the queries of clips are aligned.
    """

    def __init__(
        self,
        thing_labels: Collection[int],
        thresholds: PanopticThresholds | FusionThresholds,
        merge: Merge,
        memory: ThingMemory | None,
    ) -> None:
        self._thing_labels = thing_labels
        self._thresholds = thresholds
        self._merge = merge
        self._memory = memory
        # Keyed by (is_thing, number of a thing or label of stuff), in order of appearance.
        self._ids: dict[tuple[bool, int], int] = {}
        self._tracks = StreamedTracks()

    def add(
        self,
        mask_logits: Tensor,
        class_logits: Tensor,
        shapes: ImageShapes,
        identity: Tensor | None = None,
    ) -> StreamedClip:
        """Merge the next clip, see `StreamFinisher.add`."""

        def read(queries: Tensor) -> Iterator[Tensor]:
            yield mask_logits[queries.to(mask_logits.device)]

        merged = self._merge(class_logits, read, shapes, self._thing_labels, self._thresholds)
        id_maps = np.stack(list(merged.frames()))
        ids, shown, masks = [], [], []
        for segment, number in zip(
            merged.segments, self._numbers(merged.segments, identity), strict=True
        ):
            mask = id_maps == segment.id
            if mask.any():
                ids.append(self._ids.setdefault((segment.is_thing, number), len(self._ids) + 1))
                shown.append(segment)
                masks.append(mask)
        clip = StreamedClip(
            np.array(ids, dtype=int),
            np.array([segment.label for segment in shown], dtype=int),
            np.array([segment.score for segment in shown], dtype=float),
            np.stack(masks) if masks else np.zeros((0, *id_maps.shape), dtype=bool),
            np.array([segment.is_thing for segment in shown], dtype=bool),
        )
        self._tracks.add(clip)
        return clip

    def _numbers(self, segments: list[PanopticSegment], identity: Tensor | None) -> list[int]:
        """Return the key that identifies a segment across clips."""
        queries = [segment.query for segment in segments if segment.is_thing]
        things = iter(queries)
        if self._memory is not None:
            assert identity is not None
            labels = [segment.label for segment in segments if segment.is_thing]
            things = iter(self._memory.link(torch.tensor(labels), identity[queries]))
        return [next(things) if segment.is_thing else segment.label for segment in segments]

    def tracks(self) -> list[Track]:
        """Return all tracks so far, see `StreamedTracks`."""
        return self._tracks.tracks()
