"""Tests of the motion probe, whose clips have motion as the only cue."""

import probe_motion as probe
import pytest
import torch


def test_objects_move_and_single_frames_show_nothing():
    clips, masks = probe.camouflaged_clips(64, torch.Generator().manual_seed(0))
    assert clips.shape == (*masks.shape, probe.FEATURES)
    assert (masks.sum((2, 3)) == masks[:, :1].sum((2, 3))).all()  # never cut off by the border
    assert (masks[:, 1:] != masks[:, :-1]).any((2, 3)).all()
    still = ~masks.any(1)
    for t in range(1, masks.shape[1]):
        assert (clips[:, t][still] == clips[:, 0][still]).all()
        for clip, mask in zip(clips, masks, strict=True):
            assert (clip[t][mask[t]] == clip[0][mask[0]]).all()
    inside, outside = clips[masks], clips[~masks]
    assert (inside.mean(0) - outside.mean(0)).abs().max() < 0.2


def test_average_precision():
    scores = torch.tensor([0.9, 0.8, 0.7, 0.1])
    positive = torch.tensor([True, False, True, False])
    assert probe.average_precision(scores, positive) == pytest.approx(5 / 6)


def test_table_of_short_trainings(tmp_path, run_tool):
    out = tmp_path / 'table.md'
    options = ['--channels', 8, '--layers', 1, '--iterations', 2, '--seeds', 0, 1, '--out', out]
    assert run_tool('analysis_tools/probe_motion.py', 'none', 'AxialTrajectory', *options) == 0
    rows = [line.strip('| ').split(' | ') for line in out.read_text().splitlines()[2:]]
    assert [row[0] for row in rows] == ['none', 'AxialTrajectory']
    for _, _, mean, _, each, _ in rows:
        assert float(mean) == pytest.approx(sum(map(float, each.split(', '))) / 2, abs=0.1)
        assert float(mean) < 30  # objects cover about 14 % of all cells
