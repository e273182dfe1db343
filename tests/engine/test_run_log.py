"""Reading scalars of killed, resumed and truncated runs, and of older logs."""

import json
from pathlib import Path

import pytest

from axialvs.engine.run_log import read_run
from axialvs.utils.errors import AxialVSError


def write(work_dir: Path, time: str, records: list[dict], end: str = '') -> Path:
    """Write the file of one process, optionally with a truncated last line."""
    path = work_dir / time / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records) + end)
    return path


def trained(step: int, loss: float) -> dict:
    return {'train/lr': 0.1, 'train/loss': loss, 'iter': step, 'step': step}


def validated(step: int, score: float) -> dict:
    return {'val/youtube_vis/AP': score, 'val/time': 0.5, 'step': step}


def points(run, name: str) -> dict[int, float]:
    curve = run.curves[name]
    return dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))


def test_resumed_run_replaces_steps_after_its_checkpoint(tmp_path):
    first = [trained(10, 1.0), trained(20, 2.0), validated(20, 0.2), trained(30, 3.0)]
    write(tmp_path, '20260101_000000', [*first, validated(30, 0.3), trained(40, 4.0)])
    write(tmp_path, '20260102_000000', [trained(30, 7.0), validated(40, 0.8)])
    run = read_run(tmp_path)
    assert run.parts == 2
    assert points(run, 'train/loss') == {10: 1.0, 20: 2.0, 30: 7.0}
    assert points(run, 'val/youtube_vis/AP') == {20: 0.2, 40: 0.8}


def test_run_that_starts_with_validation_keeps_earlier_steps(tmp_path):
    write(tmp_path, '1', [trained(10, 1.0), trained(20, 2.0), trained(30, 3.0)])
    write(tmp_path, '2', [validated(20, 0.5), trained(30, 6.0)])
    write(tmp_path, '3', [validated(30, 0.6)])
    run = read_run(tmp_path)
    assert points(run, 'train/loss') == {10: 1.0, 20: 2.0, 30: 6.0}
    assert points(run, 'val/youtube_vis/AP') == {20: 0.5, 30: 0.6}


def test_only_the_last_run_counts(tmp_path):
    write(tmp_path, '1', [trained(10, 1.0), validated(10, 0.1), trained(20, 2.0)])
    write(tmp_path, '2', [trained(10, 5.0)])
    run = read_run(tmp_path)
    assert points(run, 'train/loss') == {10: 5.0}
    assert 'val/youtube_vis/AP' not in run.curves


def test_truncated_line_is_allowed_at_the_end_only(tmp_path):
    path = write(tmp_path, '1', [trained(10, 1.0)], end='{"train/loss": 2.0, "st')
    assert points(read_run(tmp_path), 'train/loss') == {10: 1.0}
    path.write_text('{"train/lo\n' + json.dumps(trained(10, 1.0)) + '\n')
    with pytest.raises(ValueError, match=r'scalars.json, line 1: not a JSON object'):
        read_run(tmp_path)
    path.write_text('{"train/loss": 1.0, "step": NaN}\n{}\n')
    with pytest.raises(AxialVSError, match=r'scalars.json, line 1: not a JSON object.*NaN'):
        read_run(tmp_path)


def test_logs_without_prefixes_are_distinguished(tmp_path):
    training = {'lr': 0.1, 'loss': 3.0, 'time': 2.0, 'iter': 10, 'step': 10}
    path = write(tmp_path, '1', [training, {'coco/bbox_mAP': 0.4, 'time': 0.1, 'step': 10}])
    run = read_run(path)
    assert points(run, 'train/time') == {10: 2.0}
    assert points(run, 'val/time') == {10: 0.1}
    assert run.find('loss') == 'train/loss'
    assert run.find('time') == 'train/time'
    assert run.find('bbox_mAP') == 'val/coco/bbox_mAP'
    assert run.find('mAP') is None


def test_folder_without_a_training_raises(tmp_path):
    write(tmp_path, '1', [])
    with pytest.raises(FileNotFoundError, match='no training log here'):
        read_run(tmp_path)
