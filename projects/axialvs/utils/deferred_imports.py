"""Defer the import of packages until they are used.

mmdet imports packages of a few of its parts, such as imgaug for lane lines, with everything else,
which takes seconds of CPU time.
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
def deferred_imports(*packages: str) -> Iterator[None]:
    """Let imports of packages give placeholders, which import the package when they are used.

    A use is a call, an attribute, a check of instances or classes, or a derived class. Packages
    that have been imported before are used as they are, and those that are not installed raise
    ImportError as usual. Afterwards `sys.modules` holds no placeholder.

    Args:
        packages: top-level packages.
    """
    finder = _Finder({x for x in packages if x not in sys.modules and PathFinder.find_spec(x)})
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for package in packages:
            finder.stop_deferring(package)


class _Placeholder(ModuleType):
    """Placeholder for a module, a class or a function.

    Args:
        name: full name, as in `matplotlib.patches.Rectangle`.
        finder: what defers its package.
    """

    def __init__(self, name: str, finder: '_Finder') -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # without it, submodules cannot be imported
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        # `from package import name` asks for attributes while it is deferred.
        if self._finder.defers(self.__name__) and not name.startswith('__'):
            return _Placeholder(f'{self.__name__}.{name}', self._finder)
        return getattr(self._load(), name)

    def __call__(self, *args, **kwargs) -> Any:
        return self._load()(*args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._load())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._load())

    def __mro_entries__(self, bases: tuple) -> tuple[type]:
        return (self._load(),)

    def _load(self) -> Any:
        self._finder.stop_deferring(_package_of(self.__name__))
        return resolve_name(self.__name__)


class _Finder(MetaPathFinder, Loader):
    """Find placeholders for packages."""

    def __init__(self, packages: set[str]) -> None:
        self._packages = packages

    def defers(self, name: str) -> bool:
        return _package_of(name) in self._packages

    def stop_deferring(self, package: str) -> None:
        if package in self._packages:
            self._packages.remove(package)
            for name in [x for x in sys.modules if _package_of(x) == package]:
                del sys.modules[name]

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if self.defers(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the package is imported when it is used."""


def _package_of(name: str) -> str:
    return name.partition('.')[0]
