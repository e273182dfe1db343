"""Tests of print_config.py, write_model_zoo.py and the metafiles as used by mmengine."""

import ast
import re
import runpy
from pathlib import Path

import pytest
from mmengine.hub import get_config

from axialvs.checkpoints.hub import CHECKPOINTS, ZOO_PREFIX, resolve_checkpoint
from config_files import load

ROOT = Path(__file__).parents[2]
CONFIG = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py'


@pytest.fixture(scope='module')
def zoo():
    return runpy.run_path(str(ROOT / 'tools/misc/write_model_zoo.py'))


@pytest.fixture(scope='module')
def models(zoo):
    metafiles = zoo['read_metafiles'](ROOT)
    return [model for metafile in metafiles for model in metafile['Models']]


def test_printed_config_is_complete(run_tool, tmp_path, capsys):
    from mmengine import Config

    out = tmp_path / 'whole.py'
    options = ['--cfg-options', 'train_cfg.max_iters=7']
    assert run_tool('misc/print_config.py', CONFIG, '--out', out, *options) == 0
    expected = Config.fromfile(ROOT / 'configs' / CONFIG)
    expected.train_cfg.max_iters = 7
    assert Config.fromfile(out).to_dict() == expected.to_dict()
    assert run_tool('misc/print_config.py', CONFIG, '--key', 'train_pipeline.0.type') == 0
    assert capsys.readouterr().out.split('=')[1].strip() == "'TransformBroadcaster'"


def test_error_names_the_missing_setting(run_tool, capsys):
    assert run_tool('misc/print_config.py', CONFIG, '--key', 'model.no') != 0
    assert '--key model.no: model has no no; it has type' in capsys.readouterr().err


def test_invalid_option(run_tool, capsys):
    options = ['--cfg-options', 'train_cfg.max_iters', '7']
    assert run_tool('misc/print_config.py', CONFIG, *options) == 2
    error = capsys.readouterr().err
    assert "'train_cfg.max_iters' is not KEY=VALUE" in error
    for wrong in ('custom_hooks.99.type=A', 'train_cfg.max_iters.x=1', 'custom_hooks.0=A'):
        assert run_tool('misc/print_config.py', CONFIG, '--cfg-options', wrong) == 2
        assert f'error: --cfg-options {wrong.partition("=")[0]}: ' in capsys.readouterr().err


def test_spaces_in_settings_are_kept(run_tool, capsys):
    options = ['work_dir=my runs (new)/1', "names=['polar bear', cat, (1, 2)]"]
    for key, text in (('work_dir', 'my runs (new)/1'), ('names', ['polar bear', 'cat', (1, 2)])):
        arguments = ['--key', key, '--cfg-options', *options]
        assert run_tool('misc/print_config.py', CONFIG, *arguments) == 0
        assert ast.literal_eval(capsys.readouterr().out.split('=', 1)[1].strip()) == text
    assert run_tool('misc/print_config.py', CONFIG, '--cfg-options', 'names=[a, b') == 2
    assert 'names=[a, b' in capsys.readouterr().err


def test_model_zoo_page_is_up_to_date_and_complete(run_tool, capsys):
    status = run_tool('misc/write_model_zoo.py', '--check')
    assert status == 0, capsys.readouterr().err


def test_errors_name_gaps_of_metafiles(zoo, tmp_path):
    folder = tmp_path / 'configs' / 'a'
    folder.mkdir(parents=True)
    (folder / 'here.py').touch()
    models = [
        {'Name': 'gone', 'In Collection': 'A', 'Config': 'configs/a/gone.py'},
        {'Name': 'other', 'In Collection': 'B', 'Config': 'configs/a/gone.py'},
    ]
    found = list(zoo['problems'](tmp_path, [{'Collections': [{'Name': 'A'}], 'Models': models}]))
    assert found == [
        'configs/a/here.py is in no metafile; add it to configs/a/metafile.yml, '
        'or move it to my_configs/',
        'configs/a/gone.py is in a metafile but does not exist',
        'configs/a/gone.py is in the metafiles twice',
        'configs/a/gone.py: its Name is other',
        'other: there is no collection B',
    ]


def test_every_result_has_weights_and_a_source(zoo, models):
    results = [(model, result) for model in models for result in model.get('Results', ())]
    assert len(results) >= 13
    for model, result in results:
        assert result['Reported By']
        assert zoo['weights_of'](model), f'{model["Name"]}: nothing fits it'
    weights = {model['Weights'].removeprefix(ZOO_PREFIX) for model in models if 'Weights' in model}
    assert weights == {name for name, known in CHECKPOINTS.items() if known.shipped}
    assert all(resolve_checkpoint(name).is_file() for name in weights)


def test_metafiles_match_the_configs(models):
    for model in models:
        name, facts = model['Name'], model['Metadata']
        config = load(ROOT / model['Config'])
        processes, batch = map(int, re.search(r'_(\d+)xb(\d+)-', name).groups())
        data = config.train_dataloader.dataset
        frames = {
            part.get('num_frames') or part.get('clip_length', 1)  # images are clips of one frame
            for part in data.get('datasets') or [data]
        }
        assert facts['Iterations'] == config.train_cfg.max_iters, name
        assert facts['Batch Size'] == processes * batch, name
        assert {facts['Clips'] * facts['Frames per Clip']} == frames, name
        offline = config.model.type in ('OfflineTubeLink', 'AxialVSOffline')
        # Contrastive models train on two clips, which may be shorter than in tests.
        contrastive = 'contrast' in config.model.panoptic_head
        assert (facts['Clips'] > 1) == (offline or contrastive), name
        if not contrastive:
            assert config.model.get('clip_length') in (None, facts['Frames per Clip']), name
        if 'GPU' in facts['Training Resources']:
            assert int(facts['Training Resources'].split()[0]) == processes, name


def test_mmengine_finds_config_and_weights_by_scope():
    """The same calls work for mmdet's own models."""
    config = get_config(f'axialvs::{CONFIG}', pretrained=True)
    assert config.model.type
    assert config.model_path == 'axialvs://axialvs-wc_tiny_movingshapes'
