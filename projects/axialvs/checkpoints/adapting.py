"""Fits the weights of related models to ours: other prefixes, other classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from axialvs.checkpoints.video_predictors import fill_video_predictors
from axialvs.datasets.class_lists import normalise_name

# Where mmdet's Mask2Former-VIS keeps what its image models and we call `panoptic_head`.
_TRACK_HEAD = 'track_head.'
_PANOPTIC_HEAD = 'panoptic_head.'

# The class logits' layer; its last row stands for "no object".
CLASS_WEIGHT = 'panoptic_head.cls_embed.weight'
CLASS_BIAS = 'panoptic_head.cls_embed.bias'


@dataclass
class AdaptationReport:
    """What became of a checkpoint's weights in a model.

    Args:
        used: Names that the model takes over as they are.
        selected: Names whose rows are taken over by class name.
        missing: Names of the model that the checkpoint lacks.
        unexpected: Names of the checkpoint that the model lacks.
        mismatched: Names whose shapes differ, with the checkpoint's shape and the model's.
        matched_classes: Classes that were found for the rows of `selected`.
    """

    used: list[str] = field(default_factory=list)
    selected: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    matched_classes: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether every tensor came over as it is and none was left over."""
        return not (self.selected or self.missing or self.unexpected or self.mismatched)

    def summary(self) -> str:
        """One line for the log."""
        total = sum(map(len, (self.used, self.selected, self.missing, self.mismatched)))
        parts = [f'{len(self.used)} of {total} tensors come from the checkpoint']
        if self.selected:
            parts.append(
                f'{", ".join(self.selected)} by class name ({len(self.matched_classes)} classes '
                f'found: {_some(self.matched_classes)})'
            )
        if self.missing:
            parts.append(f'missing in it: {_some(self.missing)}')
        if self.unexpected:
            parts.append(f'not in the model: {_some(self.unexpected)}')
        if self.mismatched:
            shapes = [
                f'{name} has shape {theirs} where the model has {ours}'
                for name, (theirs, ours) in self.mismatched.items()
            ]
            parts.append(_some(shapes))
        return '; '.join(parts)


def rename_mask2former_vis(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of mmdet's Mask2Former-VIS as our models (and mmdet's image models) have them."""
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
    """Rows of a class layer for other classes: by name where names match, else the target's.

    The last row, "no object", is taken over always.

    Args:
        source_classes: The N classes of the checkpoint, in the order of its rows.
        target_classes: The M classes of the model.
        source: (N + 1, ...), weight or bias of the checkpoint.
        target: (M + 1, ...), the model's.

    Returns:
        (M + 1, ...), and the target classes that were found.

    Raises:
        ValueError: Rows and names do not go together.
    """
    for side, classes, rows in (
        ('checkpoint', source_classes, source),
        ('model', target_classes, target),
    ):
        if len(rows) != len(classes) + 1:
            raise ValueError(
                f"the {side}'s class layer has {len(rows)} rows, "
                f'which are not its {len(classes)} classes and "no object"'
            )
    row_of = {_comparable(name): row for row, name in enumerate(source_classes)}
    selected = target.detach().clone()
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
    """Fits a checkpoint's weights to a model, and says what fits.

    Args:
        state_dict: The checkpoint's tensors by name.
        target: The model's `state_dict()`.
        source_classes: Class names of the checkpoint, where they are known.
        target_classes: Class names that the model is to have, where they are known.

    Returns:
        The tensors to load, all of which have the model's names and shapes, and the report.
    """
    if not any(name.startswith(_TRACK_HEAD) for name in target):
        state_dict = rename_mask2former_vis(state_dict)
    adapted = dict(state_dict)
    report = AdaptationReport()
    if source_classes and target_classes and _rows_move(source_classes, target_classes):
        for name in (CLASS_WEIGHT, CLASS_BIAS):
            if name in adapted and name in target:
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
        else:
            fitting[name] = tensor
    report.used = [name for name in fitting if name not in report.selected]
    report.missing = [name for name in target if name not in adapted]
    return fitting, report


def _rows_move(source_classes: Sequence[str], target_classes: Sequence[str]) -> bool:
    """Whether the lists differ by more than the spelling of some names."""
    if len(source_classes) != len(target_classes):
        return True
    row_of = {_comparable(name): row for row, name in enumerate(source_classes)}
    return any(row_of.get(_comparable(name), row) != row for row, name in enumerate(target_classes))


def _comparable(name: str) -> str:
    """A class name as data sets are compared: YouTube-VIS writes underscores, COCO blanks."""
    return ' '.join(normalise_name(name).replace('_', ' ').split())


# Names that a message shows before it says how many more there are.
_SHOWN = 3


def _some(names: list[str], limit: int = _SHOWN) -> str:
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more
