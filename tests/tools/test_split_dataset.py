"""The command split_dataset.py: two disjoint files, without overwriting."""

import json
import re

import pytest

from axialvs.datasets.annotations.youtube_vis import read_annotations
from generated_videos import write_videos

TOOL = 'dataset_converters/split_dataset.py'


@pytest.fixture
def file(tmp_path):
    return write_videos(tmp_path / 'train', [2] * 6) / 'instances.json'


def test_missing_part_error_names_the_split_command(run_tool, file, capsys):
    """A hold-out config raises this error if its training set was not split yet."""
    parts = [file.with_name(f'instances_{part}.json') for part in ('main', 'holdout')]
    commands = []
    for part in parts:
        with pytest.raises(FileNotFoundError, match='axialvs split') as error:
            read_annotations(part)
        commands += re.findall(r'`axialvs split (\S+)`', str(error.value))
    assert commands == [str(file)] * 2
    assert run_tool(TOOL, file) == 0
    assert all(read_annotations(part).videos for part in parts)


def test_parts_together_have_all_videos(run_tool, file, capsys):
    whole = json.loads(file.read_text())
    assert run_tool(TOOL, file, '--share', 0.3) == 0
    parts = {
        part: json.loads(file.with_name(f'instances_{part}.json').read_text())
        for part in ('main', 'holdout')
    }
    ids = {part: {v['id'] for v in content['videos']} for part, content in parts.items()}
    assert ids['main'] | ids['holdout'] == {video['id'] for video in whole['videos']}
    assert not ids['main'] & ids['holdout']
    for part, content in parts.items():
        assert content['annotations'] == [
            one for one in whole['annotations'] if one['video_id'] in ids[part]
        ]
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for category in whole['categories']:
        counts = [
            str(
                len(
                    {
                        one['video_id']
                        for one in parts[part]['annotations']
                        if one['category_id'] == category['id'] and any(one['segmentations'])
                    }
                )
            )
            for part in ('main', 'holdout')
        ]
        assert [category['name'], *counts] in [row[:3] for row in rows]


def test_existing_files_are_not_replaced(run_tool, file, tmp_path, capsys):
    assert run_tool(TOOL, file) == 0
    holdout = file.with_name('instances_holdout.json')
    before = holdout.read_bytes()
    file.with_name('instances_main.json').unlink()
    assert run_tool(TOOL, file, '--seed', 1) == 2
    assert 'instances_holdout.json already exists' in capsys.readouterr().err
    assert holdout.read_bytes() == before
    assert not file.with_name('instances_main.json').exists()
    assert run_tool(TOOL, file, '--out-dir', tmp_path / 'new') == 0
    assert (tmp_path / 'new' / 'instances_holdout.json').read_bytes() == before


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda file: file.unlink(), 'no such annotation file'),
        (
            lambda file: file.write_text(
                json.dumps({**json.loads(file.read_text()), 'annotations': None})
            ),
            'nothing to hold out',
        ),
    ],
)
def test_bad_input_is_one_line(run_tool, file, capsys, change, message):
    change(file)
    assert run_tool(TOOL, file) == 2
    assert message in capsys.readouterr().err
    assert not list(file.parent.glob('*_holdout.json'))
