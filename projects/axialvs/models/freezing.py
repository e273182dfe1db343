"""Parts of a network that are not trained: chosen by parameter names, and truly at rest."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from axialvs.utils.errors import AxialVSError


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Takes parameters out of training.

    Args:
        model: the network.
        patterns: names of parameters, with the wildcards of file names; `*` crosses dots.

    Raises:
        ValueError: if a pattern fits neither a parameter nor a module.
    """
    parameters = dict(model.named_parameters())
    modules = [name for name, _ in model.named_modules()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in (*parameters, *modules)):
            raise AxialVSError(
                f"frozen: '{pattern}' fits no parameter of {type(model).__name__}; names look like "
                f"'{next(iter(parameters))}'"
            )
        for name, parameter in parameters.items():
            if fnmatchcase(name, pattern):
                parameter.requires_grad_(False)


def is_frozen(modules: Iterable[nn.Module]) -> bool:
    """Whether none of the modules' parameters is trained."""
    return not any(x.requires_grad for module in modules for x in module.parameters())


def rest_frozen_parts(model: nn.Module) -> None:
    """Puts the modules whose parameters are all frozen into evaluation mode: no dropout, fixed
    running statistics."""
    for module in model.modules():
        if next(module.parameters(), None) is not None and is_frozen([module]):
            module.eval()
