"""Tests that importing the package has no side effects."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'projects' / 'axialvs'


def result_of(code: str):
    """Run code in a new interpreter and return what it printed as JSON."""
    script = f'import json, sys\n{code}\nprint(json.dumps(result))'
    ended = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_import_of_the_package_imports_nothing_else():
    code = """
before = set(sys.modules)
import axialvs
result = [axialvs.__version__, sorted(set(sys.modules) - before)]
"""
    version, modules = result_of(code)
    assert version[0].isdigit()
    assert modules == ['axialvs']


def test_mmengine_loaders_are_unchanged():
    """URLs such as open-mmlab:// work as before for all other models."""
    code = """
from mmengine.runner import CheckpointLoader
def loaders():
    prefixes = ('open-mmlab://x', 'torchvision://x', 'mmcls://x', 's3://x', 'http://x', 'x.pth')
    return [CheckpointLoader._get_checkpoint_loader(p).__module__ for p in prefixes]
entry = CheckpointLoader.load_checkpoint
before = loaders()
import axialvs.register
import axialvs.apis
result = [before, loaders(), CheckpointLoader.load_checkpoint == entry]
"""
    before, after, same = result_of(code)
    assert after == before
    assert same


def test_all_registered_modules_are_imported():
    """A registered class that `axialvs.register` does not import is unavailable in configs."""
    code = 'import axialvs.register\nresult = sorted(m for m in sys.modules if "axialvs" in m)'
    imported = set(result_of(code))
    registering = {
        '.'.join(('axialvs', *path.relative_to(PACKAGE).with_suffix('').parts))
        for path in PACKAGE.rglob('*.py')
        if '.register_module(' in path.read_text()
    }
    assert registering
    assert registering - imported == set()


@pytest.mark.parametrize('name', ['SafeRunner', 'ShardedRunner'])
def test_runners_are_found_by_name(name):
    from mmengine.registry import RUNNERS

    assert RUNNERS.get(name).__name__ == name
