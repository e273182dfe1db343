"""Lets an offline model start from weights without the layers that predict from refined queries."""

from collections.abc import Iterable, MutableMapping

from torch import Tensor

# The offline head's own layer, and the clip head's that it starts as.
VIDEO_PREDICTORS = {'video_cls_embed': 'cls_embed', 'video_mask_embed': 'mask_embed'}


def fill_video_predictors(
    state_dict: MutableMapping[str, Tensor], names: Iterable[str], prefix: str = 'panoptic_head.'
) -> None:
    """Copies the clip head's predictors to where a checkpoint lacks the video's.

    Near-online checkpoints have none, nor have the release's, which shares them.

    Args:
        state_dict: the checkpoint's tensors by name; gets those that are missing.
        names: of the model's tensors.
        prefix: of the head's tensors in both.
    """
    for name in names:
        layer, _, rest = name.removeprefix(prefix).partition('.')
        source = f'{prefix}{VIDEO_PREDICTORS.get(layer)}.{rest}'
        if name.startswith(prefix) and name not in state_dict and source in state_dict:
            state_dict[name] = state_dict[source]
