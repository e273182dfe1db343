"""Video instances: tracks from ranked (query, class) pairs; masks may overlap."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from axialvs.postprocess.finisher import LogitReader, StreamedClip, StreamedTracks
from axialvs.postprocess.masks import postprocess_masks, resize_mask_logits
from axialvs.structures import ImageShapes, Track

LABEL_MARGIN = 0.1


class SelectedPairs(NamedTuple):
    """(Query, class) pairs, best first; a query may occur with several classes."""

    queries: Tensor  # (n,) long
    labels: Tensor  # (n,) long
    probabilities: Tensor  # (n,)


def select_pairs(class_logits: Tensor, max_tracks: int) -> SelectedPairs:
    """Select the (query, class) pairs with the highest class probability.

    Args:
        class_logits: (Q, N + 1), the last column is no-object.
        max_tracks: number of pairs.
    """
    num_classes = class_logits.shape[1] - 1
    probabilities = class_logits.softmax(-1)[:, :-1].flatten()
    best, indices = probabilities.topk(min(max_tracks, probabilities.numel()))
    return SelectedPairs(indices // num_classes, indices % num_classes, best)


class InstanceFinisher:
    """Output ranked (query, class) pairs as tracks, the protocol of video instance AP.

    Args:
        max_tracks: (query, class) pairs kept per video; simultaneous objects in a stream.
        max_masks_per_frame: keep only this many highest-scoring masks per frame, as the release
            does; None keeps all.
    """

    thing_labels = None

    def __init__(self, max_tracks: int = 100, max_masks_per_frame: int | None = None) -> None:
        self.max_tracks = max_tracks
        self.max_masks_per_frame = max_masks_per_frame

    def finish(
        self, class_logits: Tensor, read_logits: LogitReader, shapes: ImageShapes
    ) -> list[Track]:
        """Select and finish the tracks of a whole video.

        The score of a track is its class probability times the mean probability inside its mask,
        averaged over the frames with a mask; with `max_masks_per_frame`, over the frames in which
        the track was among the best. Tracks without any mask are dropped.

        Args:
            class_logits: (Q, N + 1) of the whole video.
            read_logits: yields the mask logits of the selected queries.
            shapes: shapes of the frames.

        Returns:
            Tracks by decreasing class probability, ids from 1.
        """
        pairs = select_pairs(class_logits.float().cpu(), self.max_tracks)
        # A query with several classes is processed once.
        queries, row_of_pair = pairs.queries.unique(return_inverse=True)
        segmentations: list[list[dict | None]] = [[] for _ in row_of_pair]
        frame_scores: list[list[float | None]] = [[] for _ in row_of_pair]
        score_sum = torch.zeros(len(row_of_pair))
        num_scored = torch.zeros(len(row_of_pair))
        for clip in read_logits(queries):
            for frame in clip.unbind(1):
                rles, mask_scores = postprocess_masks(frame, shapes)
                present = torch.tensor([x is not None for x in rles])[row_of_pair]
                scores = pairs.probabilities * mask_scores[row_of_pair]
                kept = self._kept(scores, present)
                score_sum += scores * kept
                num_scored += kept
                for pair, (keep, score) in enumerate(
                    zip(kept.tolist(), scores.tolist(), strict=True)
                ):
                    rle = rles[row_of_pair[pair]] if keep else None
                    segmentations[pair].append(rle)
                    frame_scores[pair].append(None if rle is None else score)
        scores = score_sum / num_scored.clamp(min=1)
        with_mask = [pair for pair, rles in enumerate(segmentations) if any(rles)]
        return [
            Track(
                i,
                int(pairs.labels[pair]),
                float(scores[pair]),
                segmentations[pair],
                frame_scores=frame_scores[pair],
            )
            for i, pair in enumerate(with_mask, start=1)
        ]

    def _kept(self, scores: Tensor, present: Tensor) -> Tensor:
        """Return (n,) bool: the pairs that keep their mask in a frame, by frame score (n,)."""
        if self.max_masks_per_frame is None:
            return present
        kept = torch.zeros_like(present)
        kept[scores.topk(min(self.max_masks_per_frame, len(scores))).indices] = True
        return kept

    def stream(self, score_thr: float) -> 'StreamingTracks':
        """Start a stream."""
        return StreamingTracks(score_thr, self.max_tracks)


class StreamingTracks:
    """Instances of a stream: a query that reaches the threshold keeps its track id.

    It also keeps its class until a different one is more probable by `LABEL_MARGIN`, so that
    classes do not flicker.

    Args:
        score_thr: minimum class probability, averaged over the clips so far.
        max_tracks: maximum number of simultaneous objects.
    """

    def __init__(self, score_thr: float, max_tracks: int) -> None:
        self.score_thr = score_thr
        self.max_tracks = max_tracks
        self._ids: dict[int, int] = {}  # by query
        self._labels: Tensor | None = None  # (Q,)
        self._tracks = StreamedTracks()

    def add(
        self,
        mask_logits: Tensor,
        class_logits: Tensor,
        shapes: ImageShapes,
        identity: Tensor | None = None,
    ) -> StreamedClip:
        """Finish the next clip, see `StreamFinisher.add`."""
        probabilities = class_logits.float().cpu().softmax(-1)[:, :-1]
        highest, labels = probabilities.max(-1)
        if self._labels is not None:
            before = probabilities.gather(1, self._labels[:, None]).squeeze(1)
            labels = labels.where(highest > before + LABEL_MARGIN, self._labels)
        scores = probabilities.gather(1, labels[:, None]).squeeze(1)
        self._labels = labels
        best = highest.topk(min(self.max_tracks, len(highest))).indices
        chosen = best[highest[best] >= self.score_thr]
        logits = mask_logits[chosen.to(mask_logits.device)].float()
        # One frame at a time: 100 full-size masks of a clip take gigabytes.
        frames = [resize_mask_logits(frame, shapes) > 0 for frame in logits.split(1, dim=1)]
        masks = torch.cat(frames, dim=1).cpu().numpy()
        ids = [self._ids.setdefault(query, len(self._ids) + 1) for query in chosen.tolist()]
        clip = StreamedClip(
            np.array(ids, dtype=int),
            labels[chosen].numpy(),
            scores[chosen].numpy(),
            masks,
            np.ones(len(ids), dtype=bool),
        )
        self._tracks.add(clip)
        return clip

    def tracks(self) -> list[Track]:
        """Return all tracks so far, see `StreamedTracks`."""
        return self._tracks.tracks()
