"""The tools that start themselves for each case: one option, one case, and how errors end."""

import json

import pytest

from generated_videos import frame_folders, write_videos

OFFLINE = 'configs/axialvs/axialvs-cc_tiny_1xb2-400-end2end_movingshapes.py'
TOOLS = ('offline_memory.py', 'stream_memory.py', 'compare_with_mmdet.py')


def test_offline_training_with_an_option_of_the_config(run_tool, capsys, tmp_path):
    out = tmp_path / 'figures.json'
    sizes = ['--size', 32, 64, '--frames', 3, '--out', out]
    options = ['--cfg-options', 'model.panoptic_head.out_channels=16']
    assert run_tool('analysis_tools/offline_memory.py', OFFLINE, *sizes, *options) == 0
    (found,) = json.loads(out.read_text())
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].split() == ['3', f'{found["peak_mib"]:.1f}']
    assert '3/3' in printed.err
    assert found['frames'] == 3
    assert found['feature_mib'] == 16 * 8 * 16 * 4 / 2**20
    assert found['peak_mib'] > 100  # the libraries alone


def test_an_error_in_a_process_of_its_own_is_one_line(run_tool, capsys, tmp_path):
    options = ['--video', tmp_path / 'none.mp4', '--frames', 4]
    assert run_tool('analysis_tools/offline_memory.py', OFFLINE, *options) == 1
    printed = capsys.readouterr()
    assert '4 frames:   0%' in printed.err
    error = printed.err.splitlines()[-1]
    assert error.startswith('offline_memory.py: error: 4 frames: ')
    assert f'{tmp_path}/none.mp4' in error


@pytest.mark.parametrize('tool', TOOLS)
def test_a_wrong_config_is_said_before_anything_runs(run_tool, capsys, tool):
    assert run_tool(f'analysis_tools/{tool}', 'none') == 1
    assert capsys.readouterr().err.startswith(f'{tool}: error: config none does not exist')


@pytest.mark.parametrize('tool', ['offline_memory.py', 'stream_memory.py'])
def test_no_frames(run_tool, capsys, tool):
    assert run_tool(f'analysis_tools/{tool}', OFFLINE, '--frames', 4, 0) == 2
    assert 'at least 1 each' in capsys.readouterr().err


def test_a_video_shorter_than_what_is_asked_for(run_tool, capsys, tmp_path):
    """Both lengths are the video's own, so nothing grows from one to the other."""
    frames = frame_folders(write_videos(tmp_path / 'valid', [2]))[0]
    options = ['--video', frames, '--frames', 2, 5, '--out', tmp_path / 'new' / 'figures.json']
    assert run_tool('analysis_tools/offline_memory.py', OFFLINE, *options) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [(line[0], len(line)) for line in lines] == [('2', 2), ('2', 2)]
    figures = json.loads((tmp_path / 'new' / 'figures.json').read_text())
    assert [x['frames'] for x in figures] == [2, 2]
