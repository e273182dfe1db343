"""No command or function that reads a malicious checkpoint runs its code."""

from pathlib import Path

import pytest
import torch
from tiny_run import write_config
from torch import nn

from axialvs.checkpoints.hub import resolve_checkpoint
from axialvs.checkpoints.loading import (
    DamagedCheckpointError,
    load_checkpoint_safely,
)
from crafted import MakesFolder
from generated_videos import frame_folders, write_videos

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'tube_link' / 'tube-link_tiny_1xb4-10k_movingshapes.py'


@pytest.fixture
def trace(tmp_path) -> Path:
    """Return the path that the payload would create."""
    return tmp_path / 'trace'


@pytest.fixture
def crafted(tmp_path, trace) -> Path:
    path = tmp_path / 'run' / 'iter_3.pth'
    path.parent.mkdir()
    content = {'state_dict': {'weight': torch.ones(3)}, 'meta': {'x': MakesFolder(trace)}}
    torch.save(content, path)
    (path.parent / 'last_checkpoint').write_text(str(path))
    return path


@pytest.fixture
def commands(tmp_path, crafted) -> dict[str, list]:
    config = write_config(tmp_path)
    work_dir = ['--work-dir', crafted.parent]
    return {
        'resume': ['train.py', config, *work_dir, '--resume'],
        'resume path': ['train.py', config, *work_dir, '--resume', crafted],
        'config': ['train.py', config, *work_dir, '--cfg-options', 'resume=True'],
        'load_from': ['train.py', config, *work_dir, '--cfg-options', f'load_from={crafted}'],
        'test': ['test.py', config, crafted, *work_dir],
        'segment': ['segment_video.py', tmp_path, '--config', CONFIG, '--checkpoint', crafted],
        'convert': ['model_converters/convert_release.py', crafted, tmp_path / 'new.pth'],
        'publish': ['model_converters/publish_model.py', crafted, tmp_path / 'new.pth'],
    }


ENTRIES = ['resume', 'resume path', 'config', 'load_from', 'test', 'segment', 'convert', 'publish']


@pytest.mark.parametrize('entry', ENTRIES)
def test_commands_run_no_payload(run_tool, commands, crafted, trace, tmp_path, capsys, entry):
    if entry == 'segment':
        folder = frame_folders(write_videos(tmp_path / 'videos', [3]))[0]
        commands[entry][1:2] = [folder, '--json', tmp_path / 'out.json']
    assert run_tool(*commands[entry]) == 2
    assert not trace.exists()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f'error: checkpoint {crafted} was not loaded: it contains Python objects' in error
    assert '--run-code-in-source' in error
    assert not (tmp_path / 'new.pth').exists()


def test_trusted_file_is_converted_to_plain_weights(run_tool, crafted, trace, tmp_path, capsys):
    """The flag runs the file's code with a warning and writes weights for any command."""
    target = tmp_path / 'plain.pth'
    command = ['model_converters/publish_model.py', crafted, target, '--run-code-in-source']
    assert run_tool(*command) in (0, None)
    assert trace.exists()
    assert str(crafted) in capsys.readouterr().err
    assert torch.equal(load_checkpoint_safely(target)['state_dict']['weight'], torch.ones(3))


def test_pickled_module_is_converted_to_plain_weights(run_tool, tmp_path):
    source, target = tmp_path / 'module.pth', tmp_path / 'plain.pth'
    module = nn.Linear(2, 3)
    torch.save(module, source)
    command = ['model_converters/publish_model.py', source, target]
    assert run_tool(*command) == 2
    assert run_tool(*command, '--run-code-in-source') in (0, None)
    assert torch.equal(load_checkpoint_safely(target)['state_dict']['weight'], module.weight)


def test_values_beyond_half_precision_raise(run_tool, tmp_path, capsys):
    source, target = tmp_path / 'x.pth', tmp_path / 'half.pth'
    torch.save({'state_dict': {'small': torch.ones(2), 'large': torch.tensor([1e5])}}, source)
    assert run_tool('model_converters/publish_model.py', source, target, '--half') == 2
    assert 'large' in capsys.readouterr().err
    assert not target.exists()
    assert run_tool('model_converters/publish_model.py', source, target) in (0, None)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1j])
def test_weights_that_are_not_finite_are_not_published(run_tool, tmp_path, capsys, value):
    source, target = tmp_path / 'x.pth', tmp_path / 'y.pth'
    torch.save({'state_dict': {'bad': torch.tensor([value])}}, source)
    assert run_tool('model_converters/publish_model.py', source, target) == 2
    assert 'bad' in capsys.readouterr().err
    assert not target.exists()


def test_weights_of_a_base_checkpoint_are_omitted(run_tool, tmp_path):
    source, target = tmp_path / 'offline.pth', tmp_path / 'part.pth'
    base = load_checkpoint_safely(resolve_checkpoint('axialvs-wc_tiny_movingshapes'))['state_dict']
    shared = dict(list(base.items())[:-1])
    changed, added = next(iter(shared)), 'cross_clip.weight'
    whole = shared | {changed: shared[changed] + 1, added: torch.ones(3)}
    torch.save({'state_dict': whole}, source)
    command = ['model_converters/publish_model.py', source, target, '--base']
    assert run_tool(*command, 'axialvs://axialvs-wc_tiny_movingshapes') in (0, None)
    assert set(torch.load(target)['state_dict']) == {changed, added}
    loaded = load_checkpoint_safely(target)['state_dict']
    assert set(loaded) == set(whole)
    assert all(torch.equal(loaded[name], whole[name]) for name in whole)
    assert run_tool(*command, 'unknown') == 2


@pytest.mark.parametrize(
    'base', ['axialvs-wc_tiny_movingshapes', {'name': '/etc/passwd', 'weights': []}, {'name': 3}]
)
def test_unknown_base_checkpoint_raises(tmp_path, base):
    path = tmp_path / 'x.pth'
    torch.save({'state_dict': {'weight': torch.ones(3)}, 'meta': {'base': base}}, path)
    with pytest.raises(DamagedCheckpointError, match='base'):
        load_checkpoint_safely(path)
