"""From the mask logits of a whole video to scored tracks: the published protocol's last step."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from axialvs.association.selection import SelectedPairs, select_pairs
from axialvs.functional.mask_finishing import finish_masks
from axialvs.structures import FrameGeometry, Track

# Gives the mask logits (n, T, H, W) of some queries (n,), clip by clip.
LogitReader = Callable[[Tensor], Iterator[Tensor]]


def finish_tracks(
    class_logits: Tensor,
    read_logits: LogitReader,
    geometry: FrameGeometry,
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
        geometry: sizes of the frames.
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
    for encoded, quality in (finish_masks(frame, geometry) for frame in frames):
        present = torch.tensor([x is not None for x in encoded])[mask_of_pair]
        scores = pairs.probabilities * quality[mask_of_pair]
        survives = _surviving(scores, present, max_masks_per_frame)
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


def _surviving(scores: Tensor, present: Tensor, max_masks: int | None) -> Tensor:
    """Which pairs (n,) keep their mask in a frame with these frame scores (n,)."""
    if max_masks is None:
        return present
    survives = torch.zeros_like(present)
    survives[scores.topk(min(max_masks, len(scores))).indices] = True
    return survives


def same_geometry(before: FrameGeometry | None, now: FrameGeometry) -> FrameGeometry:
    """The sizes of a video's frames, which must not change.

    Raises:
        ValueError: if they do.
    """
    if before not in (None, now):
        raise ValueError(f'frames change size within a video: {before} before, {now} now')
    return now
