"""Identities beyond the previous clip, for occlusion, re-entry and crossing similar objects."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from axialvs.structures import ClipPrediction
from axialvs.tracking.matching import cosine_similarity, match_by_similarity
from axialvs.utils.errors import AxialVSError

# Offset between priority tiers of the assignment, larger than any similarity or distance.
TIER = 100.0
# Weight of queries without an object: they fill the remaining slots and must not affect the others.
UNSEEN = 1e-6


class ClipPlaces(NamedTuple):
    """Positions of the queries of a clip, in units of the image's diagonal."""

    seen: Tensor  # (Q,) bool, whether a query shows an object
    start: Tensor  # (Q, 2) centroid, x and y, in the first frame with a mask
    end: Tensor  # (Q, 2) centroid in the last frame with a mask
    first: Tensor  # (Q,) index of the first frame with a mask
    last: Tensor  # (Q,) index of the last frame with a mask


class IdentityMemory:
    """Assign the queries of each clip to slots that keep their object's identity during occlusion.

    A slot stores a moving average of the identity features of its object, its position and its
    velocity. An object continues a slot if its features are similar and it is near the predicted
    position. Otherwise it starts a new identity, in an empty slot if there is one, else in one that
    has expired, else in one whose object is hidden. Memory use is that of one clip's queries.

    Args:
        momentum: weight of the past in the moving average; 0 only keeps the last features.
        max_age: number of clips without its object after which an identity expires; None for never.
        min_similarity: cosine similarity below which an object gets a new identity.
        max_speed: distance from the predicted position, per frame and in units of the image's
            diagonal, above which an object gets a new identity; None for no limit.
        place_weight: weight of this distance, relative to the cosine similarity, in the assignment.
        min_score: minimum probability of any class for a query to show an object.
        masks_compete: whether each pixel belongs to one query only, as in Video-kMaX.

    Raises:
        AxialVSError: if a setting is out of range.
    """

    def __init__(
        self,
        momentum: float = 0.5,
        max_age: int | None = None,
        min_similarity: float = 0.0,
        max_speed: float | None = None,
        place_weight: float = 1.0,
        min_score: float = 0.5,
        masks_compete: bool = False,
    ) -> None:
        if not 0 <= momentum < 1:
            raise AxialVSError(f'memory.momentum is {momentum}; set it to 0 or more, less than 1')
        if max_age is not None and max_age < 0:
            raise AxialVSError(f'memory.max_age is {max_age}; set it to 0 or more, or None')
        if min(place_weight, max_speed or 0.0) < 0:
            raise AxialVSError(
                f'memory.place_weight is {place_weight} and max_speed {max_speed}; set both to 0 '
                'or more'
            )
        self.momentum = momentum
        self.max_age = max_age
        self.min_similarity = min_similarity
        self.max_speed = max_speed
        self.place_weight = place_weight
        self.min_score = min_score
        self.masks_compete = masks_compete
        self._num_frames = 0
        self._features: Tensor | None = None  # (Q, C), of unit length
        self._ages = torch.empty(0)  # (Q,) clips since the object was seen; -1 for empty slots
        self._places = torch.empty(0)  # (Q, 2) last position
        self._velocities = torch.empty(0)  # (Q, 2) per frame
        self._frames = torch.empty(0)  # (Q,) frame of the last position

    @torch.no_grad()
    def match(self, identity: Tensor, clip: ClipPrediction) -> Tensor:
        """Assign the queries of the next clip to the slots.

        Args:
            identity: (Q, C) features that link queries.
            clip: the prediction, in the same order.

        Returns:
            Query indices (Q,) in slot order.
        """
        features = F.normalize(identity.float(), dim=-1).cpu()
        places = locate(clip, self.min_score, self.masks_compete)
        if self._features is None:
            self._reset(len(features))
        remembered = features if self._features is None else self._features
        similarity = cosine_similarity(remembered, features)
        known = self._ages >= 0
        expired = torch.zeros_like(known)
        if self.max_age is not None:
            expired = self._ages > self.max_age
        distance, gap = self._distances(places)
        allowed = (known & ~expired)[:, None] & (similarity >= self.min_similarity)
        if self.max_speed is not None:
            allowed &= distance <= self.max_speed * gap
        # Continue a slot; else take an empty one, an expired one, or one of a hidden object.
        tier = torch.where(known, torch.where(expired, 2, 3), 1)[:, None].expand_as(allowed)
        score = torch.where(
            allowed, similarity - self.place_weight * distance, similarity - TIER * tier
        )
        score = torch.where(places.seen, score.double(), UNSEEN * similarity.double())
        order = match_by_similarity(score).cpu()
        continued = allowed[torch.arange(len(order)), order]
        self._update(
            remembered, features[order], ClipPlaces(*(x[order] for x in places)), continued
        )
        self._num_frames += clip.mask_logits.shape[1]
        return order.to(identity.device)

    def _reset(self, count: int) -> None:
        self._ages = torch.full((count,), -1)
        self._places, self._velocities = torch.zeros(2, count, 2)
        self._frames = torch.zeros(count, dtype=torch.long)

    def _distances(self, places: ClipPlaces) -> tuple[Tensor, Tensor]:
        """Return distances of predicted positions to queries, and the frame gaps; (Q, Q) each."""
        gap = self._num_frames + places.first - self._frames[:, None]
        predicted = self._places[:, None] + self._velocities[:, None] * gap[..., None]
        return (predicted - places.start).norm(dim=-1), gap

    def _update(
        self, remembered: Tensor, features: Tensor, places: ClipPlaces, continued: Tensor
    ) -> None:
        """Update the slots with a clip whose queries are in slot order."""
        average = self.momentum * remembered + (1 - self.momentum) * features
        average = torch.where(continued[:, None], F.normalize(average, dim=-1), features)
        # Empty slots take the features of their query; slots of hidden objects are unchanged.
        replaced = places.seen | (self._ages < 0)
        self._features = torch.where(replaced[:, None], average, remembered)
        frames = self._num_frames + places.last
        steps = places.last - places.first
        moved, elapsed = places.end - places.start, steps
        # A single frame shows no motion: compare with the previous position, if there is one.
        single = (steps == 0) & continued
        moved = torch.where(single[:, None], places.end - self._places, moved)
        elapsed = torch.where(single, frames - self._frames, elapsed).clamp(min=1)
        seen = places.seen[:, None]
        self._velocities = torch.where(seen, moved / elapsed[:, None], self._velocities)
        self._places = torch.where(seen, places.end, self._places)
        self._frames = torch.where(places.seen, frames, self._frames)
        hidden = torch.where(self._ages < 0, -1, self._ages + 1)
        self._ages = torch.where(places.seen, 0, hidden)


def locate(clip: ClipPrediction, min_score: float, masks_compete: bool) -> ClipPlaces:
    """Locate the queries of a clip; arguments as in `IdentityMemory`."""
    masks = binary_masks(clip.mask_logits, masks_compete).float()
    num_frames, height, width = masks.shape[1:]
    area = masks.sum(dim=(2, 3))
    x = masks.sum(2) @ (torch.arange(width, device=masks.device) + 0.5)
    y = masks.sum(3) @ (torch.arange(height, device=masks.device) + 0.5)
    centroids = torch.stack((x, y), -1) / area.clamp(min=1)[..., None]
    centroids = centroids.cpu() / (height**2 + width**2) ** 0.5
    present = (area > 0).cpu()
    first = present.int().argmax(1)
    last = num_frames - 1 - present.flip(1).int().argmax(1)
    score = 1 - clip.class_logits.float().softmax(-1)[:, -1].cpu()
    rows = torch.arange(len(masks))
    return ClipPlaces(
        present.any(1) & (score >= min_score),
        centroids[rows, first],
        centroids[rows, last],
        first,
        last,
    )


def binary_masks(mask_logits: Tensor, masks_compete: bool) -> Tensor:
    """Threshold logits at probability 0.5, per pixel or over competing queries: (Q, T, H, W)."""
    if masks_compete:
        return mask_logits.float().softmax(0) > 0.5
    return mask_logits > 0
