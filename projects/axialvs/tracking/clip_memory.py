"""Link clips that were merged independently: the release's clip-wise panoptic inference."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class ClipMemory:
    """Store the last embedding of every thing, per class and without a time limit.

    A thing of a new clip takes the id of the stored thing that it is assigned to, and replaces its
    embedding. Things of different classes are never linked. Stuff needs no memory, because its
    class identifies it.

    Args:
        cost_limit: assignments of at least this cost, (1 - cosine) / 2, are rejected. The default
            0.5 rejects embeddings with a negative cosine similarity.
    """

    def __init__(self, cost_limit: float = 0.5) -> None:
        self.cost_limit = cost_limit
        # Embeddings (C,) of unit length, by class and id.
        self._embeddings: dict[int, dict[int, Tensor]] = {}
        self._num_ids = 0

    @torch.no_grad()
    def link(self, labels: Tensor, embeddings: Tensor) -> list[int]:
        """Assign video-level ids to the things of the next clip.

        Args:
            labels: (n,) classes.
            embeddings: (n, C) mask embeddings, not necessarily normalized.

        Returns:
            n ids, from 1 in order of appearance.
        """
        embeddings = F.normalize(embeddings.float().cpu(), dim=-1)
        known: dict[int, int] = {}
        for label in labels.unique().tolist():
            known |= self._match(label, (labels == label).nonzero().flatten().tolist(), embeddings)
        ids = []
        for row, label in enumerate(labels.tolist()):
            if row not in known:
                self._num_ids += 1
                known[row] = self._num_ids
            self._embeddings.setdefault(label, {})[known[row]] = embeddings[row]
            ids.append(known[row])
        return ids

    def _match(self, label: int, rows: list[int], embeddings: Tensor) -> dict[int, int]:
        """Match things of a class to memory; return the ids of matched things by row."""
        memory = self._embeddings.get(label)
        if not memory:
            return {}
        cost = (1 - embeddings[rows] @ torch.stack(list(memory.values())).T) / 2
        # Clamped, so that pairs beyond the limit do not affect the rest of the assignment.
        pairs = linear_sum_assignment(cost.clamp(max=self.cost_limit))
        ids = list(memory)
        return {
            rows[i]: ids[slot]
            for i, slot in zip(*pairs, strict=True)
            if cost[i, slot] < self.cost_limit
        }
