"""The benchmark's two sides agree on what it generates."""

import pytest


def test_small_benchmark(run_tool, capsys):
    sizes = {'videos': 3, 'tracks': 5, 'frames': 4, 'classes': 2, 'rounds': 1}
    options = [f'--{name}={value}' for name, value in sizes.items()]
    options += ['--size', '300', '400']
    assert run_tool('analysis_tools/benchmark_evaluation.py', *options) == 0
    printed = capsys.readouterr()
    assert 'generating videos: 100%' in printed.err
    assert 'rounds: 100%' in printed.err
    lines = [line.split() for line in printed.out.splitlines()]
    (precision,) = [line for line in lines if line[:1] == ['AP50']]
    assert precision[1] == precision[2]
    assert 0 < float(precision[1]) < 1


def test_panoptic_figures_of_both_sides_agree(run_tool, capsys):
    sizes = {'videos': 2, 'frames': 7, 'objects': 5, 'workers': 1, 'rounds': 1}
    options = [f'--{name}={value}' for name, value in sizes.items()]
    options += ['--size', '60', '90']
    assert run_tool('analysis_tools/benchmark_panoptic_evaluation.py', *options) == 0
    printed = capsys.readouterr().out
    stq = next(line for line in printed.splitlines() if line.strip().startswith('stq'))
    assert 0 < float(stq.split()[1]) < 100


@pytest.mark.parametrize(
    ('tool', 'options', 'message'),
    [
        ('evaluation', ['--tracks', 0], 'and --rounds are at least 1'),
        ('evaluation', ['--rounds', 0], 'and --rounds are at least 1'),
        ('panoptic_evaluation', ['--objects', 0], 'and --rounds are at least 1'),
        ('panoptic_evaluation', ['--frames', 5], '--frames 5: at least 6, the longest window'),
    ],
)
def test_nothing_to_compare(run_tool, capsys, tool, options, message):
    assert run_tool(f'analysis_tools/benchmark_{tool}.py', '--videos', 1, *options) == 2
    assert message in capsys.readouterr().err
