"""Which (query, class) pairs of a video become tracks."""

from typing import NamedTuple

from torch import Tensor


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
