"""The benchmark tool on models and shapes of a few pixels."""

import json
import sys

import benchmark
import benchmark_cases as cases
import pytest
import torch
from torch import nn

from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.utils.cli import run_command

TINY = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'
PLAIN = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes'


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the tool in this process and return the exit code and the tables."""

    def run_tool(*arguments):
        out = tmp_path / 'out.md'
        command = ['benchmark.py', *map(str, arguments), '--out', str(out), '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', command)
        code = run_command(benchmark.main)
        tables = out.with_suffix('.json')
        return code, json.loads(tables.read_text()) if tables.is_file() else None

    return run_tool


def test_gpu_command_with_small_sizes(run):
    code, tables = run('gpu', '--small', '--seconds', 3000)
    assert code == 0, tables
    (pair,) = (rows for title, rows in tables.items() if ': clips of 3x96x160' in title)
    assert pair[1]['weights, MiB'] > pair[0]['weights, MiB']
    (attention,) = (rows for title, rows in tables.items() if ': trajectory attention' in title)
    assert all(row['eager, ms'] > 0 for row in attention)
    ((video,),) = (rows for title, rows in tables.items() if 'near-online, live' in title)
    assert video['frames'] == 6
    assert video['tracks'] > 0


def test_failures_and_timeouts_are_rows(run, monkeypatch):
    commands = ['model nowhere', f'model {TINY} --flops-only']
    monkeypatch.setattr(benchmark, 'gpu_commands', lambda small: commands)
    code, tables = run('gpu', '--seconds', 1)
    assert code == 2
    assert [row['command'] for row in tables['failed']] == commands
    assert 'timed out' in tables['failed'][0]['failed']
    assert 'no time left' in tables['failed'][1]['failed']


def test_two_models(run):
    sizes = ['--sizes', '32x64', '--rounds', 1]
    code, tables = run('model', PLAIN, TINY, *sizes, '--frames', 1)
    assert code == 0
    plain, tracked = tables['clips of 1x32x64']
    for key in ('GFLOPs, as defined', 'GFLOPs, executed', 'parameters, M'):
        assert tracked[key] > plain[key] > 0
    assert tracked['training step, MiB'] > tracked['forward, MiB'] > 0
    assert plain['time, times the first'] == 1
    code, tables = run('model', PLAIN, *sizes, '--frames', 1, 2, '--flops-only')
    (short,), (long,) = tables['clips of 1x32x64'], tables['clips of 2x32x64']
    assert short.items() <= plain.items()
    assert 'ms' not in short
    assert 1.5 < long['GFLOPs, as defined'] / short['GFLOPs, as defined'] <= 2


def test_video_in_a_separate_process(run):
    options = ['--lengths', 6, '--protocols', 'scored', '--size', '64x96']
    code, tables = run('video', TINY, *options, '--cfg-options', 'model.test_cfg.max_tracks=3')
    assert code == 0
    (row,) = tables['near-online, scored']
    assert row['frames'] == 6
    assert 1 <= row['tracks'] <= 3  # random queries without any mask give no tracks
    assert row['peak, MiB'] > 100  # the libraries only


def test_evaluation_agrees_with_mmdet(run):
    sizes = ['--videos', 2, '--frames', 7, '--objects', 4, '--size', '60x90']
    code, tables = run('evaluation', *sizes, '--rounds', 1, '--workers', 1)
    assert code == 0
    rows = tables['2 videos of 7 frames, 4 objects in each']
    assert 'difference' in rows[-1]['what']
    assert rows[-1]['ratio'] < 1e-9


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['model'], 'CONFIG'),
        (['model', TINY, '--sizes', '64'], "'64' is not a size"),
        (['model', TINY, '--frames', '0'], "'0' is not a positive integer"),
    ],
)
def test_wrong_options(run, capsys, arguments, message):
    with pytest.raises(SystemExit, match='2'):
        run(*arguments)
    assert message in capsys.readouterr().err


def test_missing_config(run, capsys):
    assert run('video', 'nowhere')[0] == 2
    assert 'nowhere' in capsys.readouterr().err


def test_flops_of_a_linear_layer():
    layer = nn.Linear(8, 5).requires_grad_(False)
    assert cases.count_gflops(lambda: layer(torch.ones(3, 8)), True) == 3 * 8 * 5 / 1e9


def test_flops_of_trajectory_attention():
    """One line of 2 frames of 3 tokens, 4 channels: S = 6, C = 4, T = 2."""
    attention = TrajectoryAttention(4, num_heads=2).requires_grad_(False)
    line = torch.randn(1, 6, 4)
    projections = 5 * 6 * 16 + 2 * 6 * 2 * 16  # q, k, v, second query, output; trajectory tokens
    attentions = 2 * 36 * 4 + 2 * 6 * 2 * 4
    work = cases.count_gflops(lambda: attention(line, line, num_frames=2), as_defined=True)
    assert work * 1e9 == pytest.approx(projections + attentions)


def test_flops_of_sampling():
    maps, grid = torch.ones(2, 3, 4, 5), torch.zeros(2, 6, 7, 2)
    call = lambda: nn.functional.grid_sample(maps, grid, align_corners=False)  # noqa: E731
    assert cases.count_gflops(call, as_defined=False) * 1e9 == pytest.approx(4 * 2 * 6 * 7 * 3)
    assert cases.count_gflops(call, as_defined=True) * 1e9 == pytest.approx(5 * 2 * 6 * 7 * 3)


def test_peak_memory_counts_tensors_alive_at_once():
    def three_at_most_two_at_once():
        first = torch.ones(1024, 256)
        second = first + 1
        del first
        return second + 1

    assert cases.peak_mib(three_at_most_two_at_once, torch.device('cpu')) == (
        pytest.approx(2, rel=0.01)
    )


def test_profile_sums_to_the_total(run):
    options = ['--frames', 3, '--sizes', '96x160', '--rounds', 1]
    code, tables = run('model', TINY, *options, '--profile')
    assert code == 0
    *rows, product = next(rows for title, rows in tables.items() if title.startswith('operators'))
    assert sum(row['share, %'] for row in rows) == pytest.approx(100)
    assert product['GFLOP/s'] == pytest.approx(1024**3 / 1e6 / product['ms'])
    by_name = {row['operator']: row for row in rows}
    work = sum(
        by_name[x]['GFLOP/s'] * by_name[x]['ms'] / 1e3 for x in ('convolutions', 'matrix products')
    )
    _, tables = run('model', TINY, *options[:4], '--flops-only')
    (row,) = tables['clips of 3x96x160']
    assert work == pytest.approx(row['GFLOPs, executed'], rel=0.1)  # less sampling and attention
