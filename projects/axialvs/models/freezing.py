"""Freeze parameters by name pattern and keep frozen modules in eval mode."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from axialvs.utils.errors import AxialVSError


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Exclude parameters from training.

    Args:
        model: the model.
        patterns: parameter names with shell wildcards; `*` also matches dots.

    Raises:
        AxialVSError: if a pattern matches neither a parameter nor a module.
    """
    parameters = dict(model.named_parameters())
    modules = [name for name, _ in model.named_modules()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in (*parameters, *modules)):
            raise AxialVSError(
                f"frozen: '{pattern}' matches no parameter of {type(model).__name__}; names look "
                f"like '{next(iter(parameters))}'"
            )
        for name, parameter in parameters.items():
            if fnmatchcase(name, pattern):
                parameter.requires_grad_(False)


def is_frozen(modules: Iterable[nn.Module]) -> bool:
    """Return whether all parameters of the modules are frozen."""
    return not any(x.requires_grad for module in modules for x in module.parameters())


def set_frozen_eval(model: nn.Module) -> None:
    """Set fully frozen modules to eval mode (dropout, running statistics)."""
    for module in model.modules():
        if next(module.parameters(), None) is not None and is_frozen([module]):
            module.eval()
