"""Tests of imports that are deferred until a package is used."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module

import pytest

from axialvs.utils.deferred_imports import deferred_imports

BACKEND = {'MPLBACKEND': 'svg'}  # matplotlib would choose a different one


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package `heavy`, and a module `client` that imports it in several ways."""
    files = {
        'heavy/__init__.py': "VERSION = '1.0'\n",
        'heavy/shapes.py': (
            'class Shape:\n    sides = 4\n\n\nclass Square(Shape):\n    pass\n\n\n'
            'def area(side, power=2):\n    return side**power\n'
        ),
        'client.py': (
            'import heavy\nimport heavy.shapes as module\nfrom heavy import shapes\n'
            'from heavy.shapes import Shape, Square, area\n'
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [x for x in sys.modules if x.partition('.')[0] in ('heavy', 'client')]:
        del sys.modules[name]


def import_client():
    with deferred_imports('heavy'):
        return import_module('client')


def loaded():
    return sorted(x for x in sys.modules if x.partition('.')[0] == 'heavy')


def test_nothing_is_imported_and_imports_are_restored(package):
    finders = list(sys.meta_path)
    import_client()
    assert loaded() == []
    assert sys.meta_path == finders


def derive(base):
    class Derived(base):
        pass

    return Derived


@pytest.mark.parametrize(
    ('use', 'expected'),
    [
        (lambda client: client.heavy.VERSION, '1.0'),
        (lambda client: client.heavy.shapes.area(3), 9),
        (lambda client: client.module.area(3, power=3), 27),
        (lambda client: client.shapes.Shape.sides, 4),
        (lambda client: hasattr(client.shapes, 'Circle'), False),
        (lambda client: client.area(3, power=1), 3),
        (lambda client: client.Square.sides, 4),
        (lambda client: derive(client.Square).sides, 4),
        (lambda client: isinstance(client.Square(), client.Shape), True),
        (lambda client: isinstance(3, client.Shape), False),
        (lambda client: issubclass(int, client.Shape), False),
    ],
)
def test_first_use_imports_the_package(package, use, expected):
    client = import_client()
    assert use(client) == expected
    assert 'heavy' in loaded()


def test_placeholders_and_later_imports_share_one_package(package):
    client = import_client()
    shapes = import_module('heavy.shapes')
    assert type(client.Square()) is shapes.Square
    assert derive(client.Shape).__mro__[1] is shapes.Shape
    shapes.Shape.sides = 5
    assert client.module.Square.sides == 5


def test_submodule_of_an_imported_package(package):
    with deferred_imports('heavy.shapes'):
        client = import_module('client')
        assert client.heavy.VERSION == '1.0'
    assert loaded() == ['heavy']
    assert not hasattr(client.heavy, 'shapes')
    from heavy import shapes

    assert type(client.Square()) is shapes.Square


def test_inspecting_modules_imports_nothing(package):
    """`inspect.getmodule` asks all modules for their files."""
    with deferred_imports('heavy'):
        client = import_module('client')
        inspect.getmodule(sys._getframe())
        assert not hasattr(client.heavy, '__file__')
    assert loaded() == []
    assert client.heavy.__file__.endswith('__init__.py')


def test_use_while_deferred_imports_at_once(package):
    with deferred_imports('heavy'):
        client = import_module('client')
        assert loaded() == ['heavy', 'heavy.shapes']
        assert client.area(2) == 4
        import heavy.shapes

        assert heavy.shapes.Shape.sides == 4
        assert derive(client.Shape).__mro__[1] is heavy.shapes.Shape
    assert sys.modules['heavy'] is heavy


def test_package_imported_before_is_kept(package):
    heavy = import_module('heavy')
    client = import_client()
    assert client.heavy is heavy
    assert client.Square is sys.modules['heavy.shapes'].Square


def test_missing_package_fails_on_import():
    with deferred_imports('no_such_package'), pytest.raises(ModuleNotFoundError, match='no_such'):
        import_module('no_such_package')


def test_failing_import_restores_imports(package):
    finders = list(sys.meta_path)
    with pytest.raises(ModuleNotFoundError), deferred_imports('heavy', 'no_such_package'):
        import_module('client') and import_module('no_such_package')
    assert loaded() == []
    assert sys.meta_path == finders


def test_deferred_parts_of_mmdet_and_mmengine_work():
    code = """
import json, sys
import axialvs.register
packages = ('imagecorruptions', 'imgaug', 'matplotlib', 'scipy', 'torch.distributed.fsdp')
before = sorted(set(packages) & set(sys.modules))

import mmdet.registry, mmengine.model, mmengine.optim, mmengine.registry
import numpy as np
import torch
from axialvs.registry import CHILDREN
from mmdet.datasets.transforms.transforms import corrupt
from mmdet.utils import imshow_mot_errors

image = np.full((32, 48, 3), 100, np.uint8)
box = np.array([[4, 4, 20, 20, 0.9]], np.float32)
plot = imshow_mot_errors(image.copy(), box, np.array([1]), np.array([0]))
resize = [dict(name='Resize', p=1, parameters=dict(size=dict(width=24, height=16)))]
lanes = mmdet.registry.TRANSFORMS.build(dict(type='ImageAug', pipeline=resize))
corrupted = corrupt(image, corruption_name='brightness', severity=5)
results = [plot[20, 4].tolist(), lanes.pipeline(image=image).shape, int(corrupted.min())]

# Each through the registry of another scope.
store = torch.distributed.HashStore()
torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
weight = torch.nn.Parameter(torch.ones(2))
zero = dict(type='ZeroRedundancyOptimizer', optimizer_type='SGD', params=[weight], lr=0.5)
optimizer = CHILDREN['OPTIMIZERS'].build(zero)
weight.sum().backward()
optimizer.step()
wrapper = mmdet.registry.MODEL_WRAPPERS.get('MMFullyShardedDataParallel')
strategy = mmengine.registry.STRATEGIES.get('FSDPStrategy')
sharding = [
    weight.tolist(),
    isinstance(optimizer, mmengine.optim.ZeroRedundancyOptimizer),
    issubclass(wrapper, mmengine.model.MMFullyShardedDataParallel),
    strategy.__name__,
]

import matplotlib.pyplot
after = sorted(set(packages) & set(sys.modules))
print(json.dumps([before, after, matplotlib.pyplot.get_backend(), *results, sharding]))
"""
    ended = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=os.environ | BACKEND
    )
    assert ended.returncode == 0, ended.stderr
    before, after, backend, edge, resized, darkest, sharding = json.loads(
        ended.stdout.splitlines()[-1]
    )
    assert before == []
    assert len(after) == 5
    assert edge == [40, 39, 214]  # the red of matplotlib's palette
    assert resized == [16, 24, 3]
    assert darkest > 100
    assert sharding == [[0.5, 0.5], True, True, 'FSDPStrategy']
    assert backend.lower() == BACKEND['MPLBACKEND']
