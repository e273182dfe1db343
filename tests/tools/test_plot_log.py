"""Tests of the curves and the summary of training runs."""

import json

import cv2
import numpy as np

KEYS = ['--keys', 'loss', 'AP']


def write_run(folder, losses, score=0.5):
    path = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    records = [
        {
            'train/lr': 0.1,
            'train/loss': loss,
            'train/time': 2.0,
            'train/data_time': 0.5,
            'memory': 800 + step,
            'step': 50 * step,
        }
        for step, loss in enumerate(losses, start=1)
    ]
    records.append({'val/youtube_vis/AP': score, 'step': 100})
    path.write_text('\n'.join(map(json.dumps, records)) + '\n')
    return folder


def test_curves_of_two_runs_and_their_summary(run_tool, tmp_path, capsys):
    runs = [write_run(tmp_path / 'a', [3, 2, 1]), write_run(tmp_path / 'b', [4, 4], 0.25)]
    out = tmp_path / 'new' / 'curves.png'
    assert run_tool('analysis_tools/plot_log.py', *runs, '--out', out, *KEYS) == 0
    text = capsys.readouterr().out
    assert '150 iterations' in text
    assert '2.000 s each' in text
    assert '25% waiting for data' in text
    assert 'memory: up to 803 MB' in text
    assert 'val/youtube_vis/AP: best 0.2500 at iteration 100' in text
    both = cv2.imread(str(out))
    assert run_tool('analysis_tools/plot_log.py', runs[0], '--out', out, *KEYS) == 0
    one = cv2.imread(str(out))
    assert one.shape == both.shape
    assert np.abs(one.astype(int) - both).max() > 100  # the second run is drawn


def test_scores_that_are_all_nan_have_no_best(run_tool, tmp_path, capsys):
    run = write_run(tmp_path / 'a', [3, 2], score=float('nan'))
    out = tmp_path / 'x.svg'
    assert run_tool('analysis_tools/plot_log.py', run, '--out', out, '--keys', 'loss') == 0
    assert '100 iterations' in (text := capsys.readouterr().out)
    assert 'best' not in text
    assert out.read_text().startswith('<?xml')


def test_unsupported_image_format(run_tool, tmp_path, capsys):
    run = write_run(tmp_path / 'a', [3, 2])
    for name in ('x.xyz', 'x'):
        assert run_tool('analysis_tools/plot_log.py', run, '--out', tmp_path / name) == 2
        assert f'{name}: supported are .png, .pdf, .svg' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_error_names_what_cannot_be_plotted(run_tool, tmp_path, capsys):
    run = write_run(tmp_path / 'a', [3, float('nan')])
    arguments = [run, '--out', tmp_path / 'x.png', '--keys', 'loss_clas']
    assert run_tool('analysis_tools/plot_log.py', *arguments) != 0
    captured = capsys.readouterr()
    assert 'train/loss is not finite from iteration 100 on' in captured.out
    assert '--keys loss_clas: no run has it; available: train/data_time' in captured.err
    assert run_tool('analysis_tools/plot_log.py', tmp_path / 'none') != 0
    assert 'no training log' in capsys.readouterr().err
