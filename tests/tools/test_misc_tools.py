"""Tests of print_config.py, write_model_zoo.py and what the metafiles promise to mmengine."""

import runpy
from pathlib import Path

import pytest
from mmengine.hub import get_config

from axialvs.checkpoints.model_zoo import CHECKPOINTS, ZOO_PREFIX, resolve_checkpoint

ROOT = Path(__file__).parents[2]
CONFIG = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py'


@pytest.fixture(scope='module')
def zoo():
    return runpy.run_path(str(ROOT / 'tools/misc/write_model_zoo.py'))


def test_printed_config_is_the_whole_config(run_tool, tmp_path, capsys):
    from mmengine import Config

    out = tmp_path / 'whole.py'
    options = ['--cfg-options', 'train_cfg.max_iters=7']
    assert run_tool('misc/print_config.py', CONFIG, '--out', out, *options) == 0
    expected = Config.fromfile(ROOT / 'configs' / CONFIG)
    expected.train_cfg.max_iters = 7
    assert Config.fromfile(out).to_dict() == expected.to_dict()
    assert run_tool('misc/print_config.py', CONFIG, '--key', 'train_pipeline.0.type') == 0
    assert capsys.readouterr().out.strip() == "type = 'TransformBroadcaster'"


def test_setting_that_is_not_there_is_named(run_tool, capsys):
    assert run_tool('misc/print_config.py', CONFIG, '--key', 'model.no') != 0
    assert '--key model.no: model has no no; it has type' in capsys.readouterr().err


def test_model_zoo_page_is_up_to_date_and_complete(run_tool, capsys):
    status = run_tool('misc/write_model_zoo.py', '--check')
    assert status == 0, capsys.readouterr().err


def test_gaps_of_metafiles_are_named(zoo, tmp_path):
    folder = tmp_path / 'configs' / 'a'
    folder.mkdir(parents=True)
    (folder / 'here.py').touch()
    models = [
        {'Name': 'gone', 'In Collection': 'A', 'Config': 'configs/a/gone.py'},
        {'Name': 'other', 'In Collection': 'B', 'Config': 'configs/a/gone.py'},
    ]
    found = list(zoo['problems'](tmp_path, [{'Collections': [{'Name': 'A'}], 'Models': models}]))
    assert found == [
        'configs/a/here.py is in no metafile; add it to configs/a/metafile.yml',
        'configs/a/gone.py is in a metafile and does not exist',
        'configs/a/gone.py is in the metafiles twice',
        'configs/a/gone.py: its Name is other',
        'other: there is no collection B',
    ]


def test_every_figure_says_whose_it_is(zoo):
    metafiles = zoo['read_metafiles'](ROOT)
    models = [model for metafile in metafiles for model in metafile['Models']]
    results = [result for model in models for result in model.get('Results', ())]
    assert len(results) >= 20
    assert all(result['Reported By'] for result in results)
    weights = {model['Weights'] for model in models if 'Weights' in model}
    shipped = {name for name, known in CHECKPOINTS.items() if known.shipped}
    assert weights == {ZOO_PREFIX + name for name in shipped}
    assert all(resolve_checkpoint(name).is_file() for name in weights)


def test_mmengine_finds_config_and_weights_by_the_scope():
    """What mmdet's users write for mmdet's own models."""
    config = get_config(f'axialvs::{CONFIG}', pretrained=True)
    assert config.model.type
    assert config.model_path == 'axialvs://axialvs-wc_tiny_movingshapes'
