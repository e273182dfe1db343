"""Links clips that were merged one by one: the release's clip-wise protocol for panoptic videos."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class ClipMemory:
    """Remembers the last embedding of every thing, class by class; nothing is forgotten.

    A thing of a new clip takes the id of the thing in memory that it is assigned to, and replaces
    its embedding. Things of different classes are never linked. Stuff needs no memory: its class
    is its identity.

    Args:
        cost_limit: assignments of this cost, (1 - cosine) / 2, or above are not made. The default
            0.5 rejects embeddings at an obtuse angle.
    """

    def __init__(self, cost_limit: float = 0.5) -> None:
        self.cost_limit = cost_limit
        self._embeddings: dict[int, Tensor] = {}  # of each class, (n, C) of unit length
        self._ids: dict[int, list[int]] = {}
        self._num_ids = 0

    @torch.no_grad()
    def link(self, labels: Tensor, embeddings: Tensor) -> list[int]:
        """Give every thing of the next clip its id in the video.

        Args:
            labels: (n,) classes.
            embeddings: (n, C) mask embeddings, of any length.

        Returns:
            n ids, counted from 1 in order of appearance.
        """
        embeddings = F.normalize(embeddings.float().cpu(), dim=-1)
        ids = [0] * len(labels)
        rows_by_label: dict[int, list[int]] = {}
        for row, label in enumerate(labels.tolist()):
            rows_by_label.setdefault(label, []).append(row)
        for label, rows in rows_by_label.items():
            slots = self._assign(label, embeddings[rows])
            for row, slot in zip(rows, slots, strict=True):
                ids[row] = self._ids[label][slot]
        return ids

    def _assign(self, label: int, embeddings: Tensor) -> list[int]:
        """Puts things of one class (n, C) into memory; returns their slots."""
        memory = self._embeddings.get(label, embeddings[:0])
        known = self._ids.setdefault(label, [])
        cost = (1 - embeddings @ memory.T) / 2
        # Two things left alone cost as much as a pair at the limit.
        pairs = linear_sum_assignment(cost.clamp(max=self.cost_limit).numpy())
        slots = {
            row: slot for row, slot in zip(*pairs, strict=True) if cost[row, slot] < self.cost_limit
        }
        memory = torch.cat(
            (memory, embeddings.new_empty(len(embeddings) - len(slots), embeddings.shape[1]))
        )
        for row, embedding in enumerate(embeddings):
            if row not in slots:
                slots[row] = len(known)
                self._num_ids += 1
                known.append(self._num_ids)
            memory[slots[row]] = embedding
        self._embeddings[label] = memory
        return [slots[row] for row in range(len(embeddings))]
