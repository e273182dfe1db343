"""Link clips that were merged one by one: the release's clip-wise protocol for panoptic videos."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class ClipMemory:
    """Remember the last embedding of every thing, class by class; nothing is forgotten.

    A thing of a new clip takes the id of the thing in memory that it is assigned to, and replaces
    its embedding. Things of different classes are never linked. Stuff needs no memory: its class
    is its identity.

    Args:
        cost_limit: assignments of this cost, (1 - cosine) / 2, or above are not made. The default
            0.5 rejects embeddings at an obtuse angle.
    """

    def __init__(self, cost_limit: float = 0.5) -> None:
        self.cost_limit = cost_limit
        # By class and by id, (C,) of unit length.
        self._embeddings: dict[int, dict[int, Tensor]] = {}
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
        """Ids of those things of a class that are in memory, by row."""
        memory = self._embeddings.get(label)
        if not memory:
            return {}
        cost = (1 - embeddings[rows] @ torch.stack(list(memory.values())).T) / 2
        # Leaving both partners alone costs as much as a pair at the limit.
        pairs = linear_sum_assignment(cost.clamp(max=self.cost_limit))
        ids = list(memory)
        return {
            rows[i]: ids[slot]
            for i, slot in zip(*pairs, strict=True)
            if cost[i, slot] < self.cost_limit
        }
