"""Which (query, class) pairs of a video become tracks."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from axialvs.postprocess.masks import encode_masks, postprocess_masks, resize_mask_logits
from axialvs.structures import ImageShapes, Track
from axialvs.utils.errors import AxialVSError


class SelectedPairs(NamedTuple):
    """Pairs of a query and a class, best first; a query may occur with several classes."""

    queries: Tensor  # (n,) long
    labels: Tensor  # (n,) long
    probabilities: Tensor  # (n,)


def select_pairs(class_logits: Tensor, max_tracks: int) -> SelectedPairs:
    """The pairs of highest class probability.

    Args:
        class_logits: (Q, N + 1), the last column means no object.
        max_tracks: pairs kept.
    """
    num_classes = class_logits.shape[1] - 1
    probabilities = class_logits.softmax(-1)[:, :-1].flatten()
    best, indices = probabilities.topk(min(max_tracks, probabilities.numel()))
    return SelectedPairs(indices // num_classes, indices % num_classes, best)


# Gives the mask logits (n, T, H, W) of some queries (n,), clip by clip.
LogitReader = Callable[[Tensor], Iterator[Tensor]]


def finish_tracks(
    class_logits: Tensor,
    read_logits: LogitReader,
    shapes: ImageShapes,
    max_tracks: int,
    max_masks_per_frame: int | None = None,
) -> list[Track]:
    """Chooses and finishes the tracks of a video.

    A track's score is its class probability times the mean probability inside its mask, averaged
    over the frames that count: those with a mask, or with `max_masks_per_frame` those that it
    survived in.

    Args:
        class_logits: of the whole video, (Q, N + 1).
        read_logits: gives the mask logits of the queries that were chosen.
        shapes: sizes of the frames.
        max_tracks: (query, class) pairs kept.
        max_masks_per_frame: in each frame only so many pairs of highest frame score keep their
            mask, as in the release; None keeps all.

    Returns:
        Tracks of highest class probability first, ids from 1.
    """
    pairs = SelectedPairs(*(x.cpu() for x in select_pairs(class_logits.float(), max_tracks)))
    # A query that occurs with several classes is finished once.
    queries, mask_of_pair = pairs.queries.unique(return_inverse=True)
    segmentations: list[list[dict | None]] = [[] for _ in mask_of_pair]
    score_sum = torch.zeros(len(mask_of_pair))
    counted = torch.zeros(len(mask_of_pair))
    frames = (frame for clip in read_logits(queries) for frame in clip.unbind(1))
    for rles, mask_scores in (postprocess_masks(frame, shapes) for frame in frames):
        present = torch.tensor([x is not None for x in rles])[mask_of_pair]
        scores = pairs.probabilities * mask_scores[mask_of_pair]
        survives = _surviving(scores, present, max_masks_per_frame)
        score_sum += scores * survives
        counted += survives
        for pair, keep in enumerate(survives.tolist()):
            segmentations[pair].append(rles[mask_of_pair[pair]] if keep else None)
    scores = score_sum / counted.clamp(min=1)
    return [
        Track(i + 1, int(label), float(score), list(segmentation))
        for i, (label, score, segmentation) in enumerate(
            zip(pairs.labels, scores, segmentations, strict=True)
        )
    ]


def _surviving(scores: Tensor, present: Tensor, max_masks: int | None) -> Tensor:
    """Which pairs (n,) keep their mask in a frame with these frame scores (n,)."""
    if max_masks is None:
        return present
    survives = torch.zeros_like(present)
    survives[scores.topk(min(max_masks, len(scores))).indices] = True
    return survives


def check_same_shapes(before: ImageShapes | None, now: ImageShapes) -> ImageShapes:
    """The sizes of a video's frames, which must not change.

    Raises:
        ValueError: if they do.
    """
    if before not in (None, now):
        raise AxialVSError(f'frames change size within a video: {before} before, {now} now')
    return now


class StreamingTracks:
    """Names the objects of each clip as soon as it is segmented; what was said is not taken back.

    A query that once reached the score threshold has its track id for the rest of the video.

    Args:
        score_threshold: class probability, averaged over the clips so far, from which a query is an
            object.
        max_tracks: objects shown at once.
    """

    def __init__(self, score_threshold: float, max_tracks: int) -> None:
        self.score_threshold = score_threshold
        self.max_tracks = max_tracks
        self._num_frames = 0
        self._ids: dict[int, int] = {}
        self._segmentations: dict[int, dict[int, dict]] = {}
        self._class_logits: Tensor | None = None

    def add(
        self, mask_logits: Tensor, class_logits: Tensor, shapes: ImageShapes
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Decides on the next clip.

        Args:
            mask_logits: (Q, T, H, W), linked, without frames that repeat the last one.
            class_logits: mean over the clips so far, (Q, N + 1).
            shapes: sizes of the frames.

        Returns:
            ids (n,), labels (n,), scores (n,) and masks (n, T, H, W) at the original size.
        """
        self._class_logits = class_logits.float().cpu()
        scores, labels = self._class_logits.softmax(-1)[:, :-1].max(-1)
        best = scores.topk(min(self.max_tracks, len(scores))).indices
        chosen = best[scores[best] >= self.score_threshold]
        logits = mask_logits[chosen.to(mask_logits.device)].float()
        # One frame at a time: at full size a clip of 100 masks fills gigabytes.
        frames = [resize_mask_logits(frame, shapes) > 0 for frame in logits.split(1, dim=1)]
        masks = torch.cat(frames, dim=1).cpu().numpy()
        ids = [self._ids.setdefault(query, len(self._ids) + 1) for query in chosen.tolist()]
        for object_id, clip_masks in zip(ids, masks, strict=True):
            codes = self._segmentations.setdefault(object_id, {})
            for t, code in enumerate(encode_masks(clip_masks)):
                if code is not None:
                    codes[self._num_frames + t] = code
        self._num_frames += mask_logits.shape[1]
        return np.array(ids, dtype=int), labels[chosen].numpy(), scores[chosen].numpy(), masks

    def tracks(self) -> list[Track]:
        """All objects named so far, with the class and score of the averages so far."""
        if self._class_logits is None:
            return []
        scores, labels = self._class_logits.softmax(-1)[:, :-1].max(-1)
        return [
            Track(
                object_id,
                int(labels[query]),
                float(scores[query]),
                [self._segmentations[object_id].get(i) for i in range(self._num_frames)],
            )
            for query, object_id in self._ids.items()
        ]
