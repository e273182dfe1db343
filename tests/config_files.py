"""Paths and loading of the shipped configs."""

import ast
import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mmengine import Config

CONFIGS = Path(__file__).parents[1] / 'configs'
BASES = CONFIGS / '_base_'
EVERY = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.glob('*/*.py')
    if path.parent.name != BASES.name
)
PANOPTIC = [name for name in EVERY if any(word in name for word in ('kmax', 'vipseg', 'panoptic'))]
NEEDS_TIMM = [name for name in EVERY if '_dinov2-' in name or '_effnet-' in name]
ALL = [  # of video instance segmentation
    name
    for name in EVERY
    if name not in PANOPTIC and (name not in NEEDS_TIMM or find_spec('timm') is not None)
]


@cache
def _settings(path: Path) -> Config:
    return Config.fromfile(path)


def load(name: str | Path) -> Config:
    """Return a config by its path below `configs/`, copied from a cache as parsing is slow."""
    return copy.deepcopy(_settings(CONFIGS / name))


def bases_of(path: Path) -> list[Path]:
    """Return the files in a config's `_base_`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            bases = ast.literal_eval(node.value)
            return [
                (path.parent / x).resolve() for x in ([bases] if isinstance(bases, str) else bases)
            ]
    return []


def depth_of(path: Path) -> int:
    """Return the length of the longest chain of bases, including the config itself."""
    return 1 + max(map(depth_of, bases_of(path)), default=0)
