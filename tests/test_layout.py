"""The package is layered: a folder imports only from the folders before it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'projects' / 'axialvs'
LAYERS = (
    'utils',
    'clips',
    'structures',
    'registry',
    'functional',
    'layers',
    'postprocess',
    'tracking',
    'datasets',
    'data_tools',
    'checkpoints',
    'models',
    'evaluation',
    'visualization',
    'engine',
    'inference',
    'register',
    'apis',
    'web',
    'doctor',
    '__main__',
)


def imported(file: Path) -> set[str]:
    """Return folders and root modules of the package that are imported anywhere in a file."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == 'axialvs':
            names |= {f'axialvs.{alias.name}' for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or '')
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split('.')[1] for name in names if name.startswith('axialvs.')}


def test_every_folder_and_root_module_has_a_layer():
    folders = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    modules = {path.stem for path in PACKAGE.glob('*.py')} - {'__init__'}
    assert folders | modules == set(LAYERS)


@pytest.mark.parametrize('layer', LAYERS)
def test_imports_point_downwards(layer):
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    folder = PACKAGE / layer
    files = folder.rglob('*.py') if folder.is_dir() else [folder.with_suffix('.py')]
    upward = {str(file.relative_to(PACKAGE)): sorted(imported(file) & above) for file in files}
    assert {file: names for file, names in upward.items() if names} == {}
