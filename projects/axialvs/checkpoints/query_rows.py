"""Brings the learnt queries of a checkpoint to a model that has fewer."""

from collections.abc import Mapping

from torch import Tensor

QUERY_WEIGHTS = ('panoptic_head.query_feat.weight', 'panoptic_head.query_embed.weight')


def keep_first_queries(
    state_dict: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[int, int] | None]:
    """The checkpoint's first Q queries, where the model has Q and the checkpoint more.

    Queries are matched to objects without regard to their order, so no row is better than another
    before training; what matters is that features and positions of a query stay together. mmdet's
    Swin-L Mask2Former has 200 queries and the paper's models 100. In the release's training both
    weights are left out for their shape, and all queries start anew.

    Args:
        state_dict: The checkpoint's tensors, query weights (Q', C).
        target: The model's, query weights (Q, C).

    Returns:
        The tensors, and (Q', Q) where rows were left out, else None. A checkpoint with fewer
        queries than the model, or with differing numbers of both kinds, stays as it is.
    """
    kept = dict(state_dict)
    if not all(name in kept and name in target for name in QUERY_WEIGHTS):
        return kept, None
    theirs = {len(kept[name]) for name in QUERY_WEIGHTS}
    ours = {len(target[name]) for name in QUERY_WEIGHTS}
    if len(theirs) != 1 or len(ours) != 1 or min(theirs) <= min(ours):
        return kept, None
    (before,), (after,) = theirs, ours
    kept.update({name: kept[name][:after] for name in QUERY_WEIGHTS})
    return kept, (before, after)
