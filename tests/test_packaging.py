"""Tests of installations: the wheel, its configs and the `axialvs::` scope."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CARRIED = ('configs', 'tools', 'projects', 'setup.py', 'setup.cfg', 'pyproject.toml')
CARRIED += ('weights', 'LICENSE', 'README.md', 'model-index.yml', 'MANIFEST.in')
CONFIG = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021.py'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp('wheel')
    ignored = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for name in CARRIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / 'source' / name, ignore=ignored)
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder / 'source' / name)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    result = subprocess.run(
        [*command, '--no-index', '-w', folder, folder / 'source'], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = folder.glob('axialvs-*.whl')
    return path


def files(*folders: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


def test_wheel_contains_package_configs_and_tools(wheel):
    carried = set(zipfile.ZipFile(wheel).namelist())
    for name in files('configs', 'tools', 'weights') | {'model-index.yml'}:
        assert f'axialvs/.mim/{name}' in carried
    for name in files('projects/axialvs'):
        if name.endswith('.py'):
            assert name.removeprefix('projects/') in carried
    assert not {name for name in carried if name.endswith('.pyc') or name.startswith('tests')}


def test_installed_configs_work_from_any_folder(wheel, tmp_path):
    """A config inherits from the installed package by its scope, and its model is built."""
    zipfile.ZipFile(wheel).extractall(tmp_path / 'site')
    (tmp_path / 'mine.py').write_text(
        f"_base_ = 'axialvs::{CONFIG}'\nmodel = dict(panoptic_head=dict(num_queries=7))\n"
    )
    code = """
import axialvs.register
from mmengine import Config
from mmengine.registry import init_default_scope
from mmdet.registry import MODELS
config = Config.fromfile('mine.py')
init_default_scope(config.default_scope)
model = MODELS.build(config.model)
print(axialvs.__file__)
print(type(model).__module__, model.panoptic_head.query_feat.num_embeddings)
"""
    environment = os.environ | {'PYTHONPATH': str(tmp_path / 'site')}
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    location, model = result.stdout.splitlines()[-2:]
    assert Path(location) == tmp_path / 'site' / 'axialvs' / '__init__.py'
    assert model == 'axialvs.models.clip_segmenter 7'
    assert 'Failed to' not in result.stdout + result.stderr
