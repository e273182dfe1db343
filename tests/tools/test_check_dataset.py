"""The command check_dataset.py: report, exit codes, files."""

import json

import pytest

from axialvs.data_tools.checking.rules import RULES
from generated_videos import write_videos

CONFIG = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py'


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('checked') / 'train', [5, 2])


@pytest.fixture
def broken(split, tmp_path):
    """Write a file whose video width differs from its masks and images."""
    content = json.loads((split / 'instances.json').read_text())
    content['videos'][1]['width'] += 1
    path = tmp_path / 'broken.json'
    path.write_text(json.dumps(content))
    return path


def test_valid_data(run_tool, split, capsys):
    code = run_tool('check_dataset.py', split / 'instances.json', '--images', split / 'JPEGImages')
    assert code == 0
    text = capsys.readouterr().out
    assert 'YouTube-VIS: 2 videos, 7 frames' in text
    assert 'ERRORS' not in text


def test_errors_are_shown_and_written(run_tool, split, broken, tmp_path, capsys):
    out = tmp_path / 'new' / 'report.json'
    images = split / 'JPEGImages'
    code = run_tool('check_dataset.py', broken, '--images', images, '--out', out, '--examples', 1)
    assert code == 1
    text = capsys.readouterr().out
    (report,) = json.loads(out.read_text())['reports']
    sizes = report['findings']['image-size']
    assert sizes['count'] == len(sizes['found']) == 2
    assert sizes['found'][0]['where'] == 'video 2, frame 0'
    assert f'2 x {RULES["image-size"].title}' in text
    assert '... and 1 more' in text
    assert {'mask-size', 'size-differs'} <= report['findings'].keys()
    assert f'{report["errors"]} errors' in text
    assert run_tool('check_dataset.py', broken, '--images', images, '--fast') == 1
    assert RULES['image-size'].title not in capsys.readouterr().out


def test_file_without_a_usable_category(run_tool, split, tmp_path, capsys):
    content = json.loads((split / 'instances.json').read_text()) | {'categories': [None]}
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(content))
    assert run_tool('check_dataset.py', path, '--images', split / 'JPEGImages') == 1
    assert 'categories[0]' in capsys.readouterr().out


def test_data_of_a_config(run_tool, split, capsys):
    options = [f'train_dataloader.dataset.data_root={split}/']
    options += ['train_dataloader.dataset.ann_file=instances.json']
    options += ['train_dataloader.dataset.data_prefix.img_path=JPEGImages/']
    assert run_tool('check_dataset.py', '--config', CONFIG, '--cfg-options', *options) == 0
    text = capsys.readouterr().out
    assert f"the file's own classes, clips of 3 frames, from {CONFIG}" in text
    assert 'video 2: 2 frames, but clips have 3' in text
    more = ['--classes', '2021', '--clip-length', '2']
    assert run_tool('check_dataset.py', '--config', CONFIG, *more, '--cfg-options', *options) == 1
    text = capsys.readouterr().out
    assert "class 'zebra'" in text or '... and' in text
    assert 'clips have' not in text


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give an annotation file, or --config'),
        (['none.json'], 'none.json: no such annotation file'),
        (['--config', 'none.py'], 'config none.py does not exist'),
        (['none.json', '--clip-length', '0'], '--clip-length: 0: must be from 1 to'),
    ],
)
def test_nothing_to_check_exits_with_two(run_tool, capsys, arguments, message):
    assert run_tool('check_dataset.py', *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
