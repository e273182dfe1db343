"""Map the tensors of a checkpoint to a model: names, class rows, queries, predictors."""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from axialvs.datasets.class_names import normalize_name
from axialvs.utils.errors import AxialVSError

QUERY_WEIGHTS = ('panoptic_head.query_feat.weight', 'panoptic_head.query_embed.weight')


def keep_first_queries(
    state_dict: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[int, int] | None]:
    """Keep the first Q queries of a checkpoint with more queries than the model.

    Matching does not depend on the order of queries, so any Q rows will do, as long as the features
    and positions of a query stay together. mmdet's Swin-L Mask2Former has 200 queries, the paper's
    models 100. The release's training skips both weights because of their shape, so all queries
    keep their initial values.

    Args:
        state_dict: the checkpoint's tensors, query weights (Q', C).
        target: the model's tensors, query weights (Q, C).

    Returns:
        The tensors, and (Q', Q) if rows were dropped, else None. A checkpoint with fewer queries
        than the model, or with different numbers of features and positions, is unchanged.
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


# Layers of the offline head, and those of the clip head that initialize them.
VIDEO_PREDICTORS = {
    'video_cls_embed': 'cls_embed',
    'video_mask_embed': 'mask_embed',
    'video_predictor.class_proj': 'class_proj',
    'video_predictor.mask_proj': 'mask_proj',
    'video_predictor.cls_embed': 'predictor.cls_embed',
    'video_predictor.mask_embed': 'predictor.mask_embed',
    'video_predictor.mask_norm': 'predictor.mask_norm',
}


def fill_video_predictors(
    state_dict: MutableMapping[str, Tensor], names: Iterable[str], prefix: str = 'panoptic_head.'
) -> None:
    """Copy the clip head's predictors to the video predictors that a checkpoint lacks.

    Near-online checkpoints have no video predictors, and the release shares the clip head's.

    Args:
        state_dict: the checkpoint's tensors by name; missing ones are added.
        names: names of the model's tensors.
        prefix: prefix of the head's tensors in both.
    """
    for name in names:
        for video, clip in VIDEO_PREDICTORS.items():
            source = name.replace(f'{prefix}{video}.', f'{prefix}{clip}.', 1)
            if source != name and name not in state_dict and source in state_dict:
                state_dict[name] = state_dict[source]


# Name of `panoptic_head` in mmdet's Mask2Former-VIS.
_TRACK_HEAD = 'track_head.'
_PANOPTIC_HEAD = 'panoptic_head.'

# The class layer; its last row is no-object.
CLASS_WEIGHT = 'panoptic_head.cls_embed.weight'
CLASS_BIAS = 'panoptic_head.cls_embed.bias'
KMAX_CLASS_BIAS = 'panoptic_head.predictor.cls_embed.bias'
# All layers with one row per class and "no object": Video-kMaX has one after each decoder layer and
# one in its semantic head.
_CLASS_LAYER = re.compile(
    r'panoptic_head\.(.+\.)?((video_)?cls_embed|semantic_head\.classifier)\.(weight|bias)'
)


@dataclass
class AdaptationReport:
    """Result of loading a checkpoint's weights into a model.

    Args:
        used: names of tensors that are loaded unchanged.
        selected: names of tensors whose rows are loaded by class name.
        missing: names of the model that the checkpoint lacks.
        unexpected: names of the checkpoint that the model lacks.
        mismatched: names whose shapes differ, with the checkpoint's shape and the model's.
        mistyped: names that are floats in the model only, with both dtypes.
        matched_classes: classes found in the checkpoint for the rows of `selected`.
    """

    used: list[str] = field(default_factory=list)
    selected: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    mistyped: dict[str, tuple[str, str]] = field(default_factory=dict)
    matched_classes: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether all tensors were loaded unchanged and none was unused."""
        return not (
            self.selected or self.missing or self.unexpected or self.mismatched or self.mistyped
        )

    def summary(self) -> str:
        """Summarize the report in one line for the log."""
        total = sum(
            map(len, (self.used, self.selected, self.missing, self.mismatched, self.mistyped))
        )
        parts = [f'{len(self.used)} of {total} tensors come from the checkpoint']
        if self.selected:
            parts.append(
                f'{_some(self.selected)} by class name ({len(self.matched_classes)} classes '
                f'found: {_some(self.matched_classes)})'
            )
        if self.missing:
            parts.append(f'missing in it: {_some(self.missing)}')
        if self.unexpected:
            parts.append(f'not in the model: {_some(self.unexpected)}')
        if self.mismatched:
            shapes = [
                f'{name} has shape {theirs}, but {ours} in the model'
                for name, (theirs, ours) in self.mismatched.items()
            ]
            parts.append(_some(shapes))
        if self.mistyped:
            types = [
                f'{name} is {theirs}, but {ours} in the model'
                for name, (theirs, ours) in self.mistyped.items()
            ]
            parts.append(_some(types))
        return '; '.join(parts)


def rename_mask2former_vis(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors of mmdet's Mask2Former-VIS as in our models and mmdet's image models."""
    return {
        _PANOPTIC_HEAD + name.removeprefix(_TRACK_HEAD) if name.startswith(_TRACK_HEAD) else name: (
            tensor
        )
        for name, tensor in state_dict.items()
    }


def select_class_rows(
    source_classes: Sequence[str],
    target_classes: Sequence[str],
    source: Tensor,
    target: Tensor,
) -> tuple[Tensor, list[str]]:
    """Select rows of a class layer by class name; unmatched classes keep the model's rows.

    The last row, "no object", is always selected.

    Args:
        source_classes: the N classes of the checkpoint, in row order.
        target_classes: the M classes of the model.
        source: (N + 1, ...), weight or bias of the checkpoint.
        target: (M + 1, ...), weight or bias of the model; gathered if it is sharded.

    Returns:
        (M + 1, ...), and the target classes that were found.

    Raises:
        ValueError: if the numbers of rows and names differ.
    """
    for side, classes, rows in (
        ('checkpoint', source_classes, source),
        ('model', target_classes, target),
    ):
        if len(rows) != len(classes) + 1:
            raise AxialVSError(
                f"the {side}'s class layer has {len(rows)} rows, "
                f'but needs {len(classes)} for its classes and one for "no object"'
            )
    row_of = {_comparable(name): row for row, name in enumerate(source_classes)}
    is_sharded = hasattr(target, 'full_tensor')
    selected = target.detach().full_tensor() if is_sharded else target.detach().clone()
    selected[-1] = source[-1]
    matched = []
    for row, name in enumerate(target_classes):
        source_row = row_of.get(_comparable(name))
        if source_row is not None:
            selected[row] = source[source_row]
            matched.append(name)
    return selected, matched


def adapt_state_dict(
    state_dict: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    source_classes: Sequence[str] | None = None,
    target_classes: Sequence[str] | None = None,
) -> tuple[dict[str, Tensor], AdaptationReport]:
    """Adapt a checkpoint's weights to a model, and report what was loaded.

    Args:
        state_dict: the checkpoint's tensors by name.
        target: the model's `state_dict()`.
        source_classes: class names of the checkpoint, if known.
        target_classes: class names of the model, if known.

    Returns:
        The tensors to load, with the model's names and shapes, and the report.
    """
    if not any(name.startswith(_TRACK_HEAD) for name in target):
        state_dict = rename_mask2former_vis(state_dict)
    adapted = dict(state_dict)
    report = AdaptationReport()
    if source_classes and target_classes and _rows_move(source_classes, target_classes):
        for name in target:
            if name in adapted and _CLASS_LAYER.fullmatch(name):
                adapted[name], report.matched_classes = select_class_rows(
                    source_classes, target_classes, adapted[name], target[name]
                )
                report.selected.append(name)
    fill_video_predictors(adapted, target)
    fitting = {}
    for name, tensor in adapted.items():
        if name not in target:
            report.unexpected.append(name)
        elif tensor.shape != target[name].shape:
            report.mismatched[name] = (tuple(tensor.shape), tuple(target[name].shape))
        elif target[name].is_floating_point() and not tensor.is_floating_point():
            report.mistyped[name] = (str(tensor.dtype), str(target[name].dtype))
        else:
            fitting[name] = tensor
    report.used = [name for name in fitting if name not in report.selected]
    report.missing = [name for name in target if name not in adapted]
    return fitting, report


def _rows_move(source_classes: Sequence[str], target_classes: Sequence[str]) -> bool:
    """Return whether the lists differ by more than the spelling of some names."""
    if len(source_classes) != len(target_classes):
        return True
    row_of = {_comparable(name): row for row, name in enumerate(source_classes)}
    return any(row_of.get(_comparable(name), row) != row for row, name in enumerate(target_classes))


def _comparable(name: str) -> str:
    """Normalize a class name for comparison: YouTube-VIS has underscores, COCO spaces."""
    return ' '.join(normalize_name(name).replace('_', ' ').split())


# Maximum number of names in a message.
_SHOWN = 3


def _some(names: list[str], limit: int = _SHOWN) -> str:
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more
