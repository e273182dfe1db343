"""Defer slow imports until the imported module is used.

Importing mmdet also imports packages that few of its parts need, such as imgaug for lane lines, and
mmengine imports torch.distributed.fsdp. They take seconds of CPU time.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pkgutil import resolve_name
from types import ModuleType
from typing import Any


@contextmanager
def deferred_imports(*modules: str) -> Iterator[None]:
    """Replace imported modules with placeholders, which import the module on first use.

    A use is a call, an attribute access, an instance or subclass check, or a derived class. Modules
    that are already imported are not deferred, and packages that are not installed raise
    ImportError as usual. On exit, all placeholders are removed from `sys.modules`.

    Args:
        modules: full names; their submodules are deferred too.
    """
    finder = _Finder({x for x in modules if x not in sys.modules and _is_installed(x)})
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.stop_deferring(*modules)


def _is_installed(module: str) -> bool:
    return PathFinder.find_spec(module.partition('.')[0]) is not None


class _Placeholder(ModuleType):
    """Placeholder for a module, a class or a function.

    Args:
        name: full name, such as `matplotlib.patches.Rectangle`.
        finder: the finder that defers its module.
    """

    def __init__(self, name: str, finder: '_Finder') -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # makes it a package
        self._finder = finder
        self._loaded: Any = None

    def __getattr__(self, name: str) -> Any:
        if not self._finder.deferred(self.__name__):
            return getattr(self._load(), name)
        if name.startswith('__'):  # requested by the import system and by inspect.getmodule
            raise AttributeError(name)
        return _Placeholder(f'{self.__name__}.{name}', self._finder)

    def __call__(self, *args, **kwargs) -> Any:
        return self._load()(*args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._load())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._load())

    def __mro_entries__(self, bases: tuple) -> tuple[type]:
        return (self._load(),)

    def _load(self) -> Any:
        if self._loaded is None:
            self._finder.stop_deferring(*self._finder.deferred(self.__name__))
            self._loaded = resolve_name(self.__name__)
        return self._loaded


class _Finder(MetaPathFinder, Loader):
    """Create placeholders for modules."""

    def __init__(self, modules: set[str]) -> None:
        self._modules = modules
        self._placeholders: dict[str, _Placeholder] = {}

    def deferred(self, name: str) -> list[str]:
        """Return the deferred modules that a name equals or belongs to."""
        return [x for x in self._modules if f'{name}.'.startswith(f'{x}.')]

    def stop_deferring(self, *modules: str) -> None:
        """Import modules as usual from now on."""
        self._modules -= set(modules)
        for name in [x for x in self._placeholders if not self.deferred(x)]:
            sys.modules.pop(name, None)
            parent, _, child = name.rpartition('.')
            namespace = vars(sys.modules[parent]) if parent in sys.modules else {}
            if namespace.get(child) is self._placeholders.pop(name):
                del namespace[child]

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if self.deferred(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._placeholders[spec.name] = _Placeholder(spec.name, self)
        return self._placeholders[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module is imported on first use."""
