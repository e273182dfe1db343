"""The package is layered as the README says: a folder imports only what comes before it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'projects' / 'axialvs'
FOLDERS = sorted(path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file())


@pytest.fixture(scope='module')
def order() -> list[str]:
    """The folders and `apis`, the lowest first."""
    layout = (ROOT / 'README.md').read_text().partition('## Layout')[2].partition('\n## ')[0]
    (sentence,) = re.findall(r'only from those before it: ([^.]+)\.', layout)
    return re.findall(r'`(\w+)`', sentence)


def imported(file: Path) -> set[str]:
    """Folders and modules of the package's root that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == 'axialvs':
            names |= {f'axialvs.{alias.name}' for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or '')
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split('.')[1] for name in names if name.startswith('axialvs.')}


def test_readme_names_every_folder(order):
    assert sorted(order) == sorted([*FOLDERS, 'apis'])


@pytest.mark.parametrize('folder', FOLDERS)
def test_a_folder_imports_only_what_comes_before_it(order, folder):
    above = set(order[order.index(folder) + 1 :])
    files = (PACKAGE / folder).rglob('*.py')
    wrong = {str(file.relative_to(PACKAGE)): sorted(imported(file) & above) for file in files}
    assert {file: names for file, names in wrong.items() if names} == {}


def test_modules_of_the_root_know_no_folder(order):
    """But those on top, which are for users: apis, the doctor and what registers all parts."""
    on_top = {'__init__.py', 'apis.py', 'doctor.py'}
    files = [file for file in PACKAGE.glob('*.py') if file.name not in on_top]
    assert len(files) > 5
    assert {
        file.name: imported(file) & set(order) for file in files if imported(file) & set(order)
    } == {}
