"""Tests of the table of loading costs; the figures themselves are the machine's."""

import re
import subprocess
import sys
from pathlib import Path

from generated_videos import write_videos

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/analysis_tools/benchmark_loader.py'
PART = 'train_dataloader.dataset'


def run(split, *arguments):
    command = [sys.executable, TOOL, 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py']
    command += [*arguments, '--cfg-options', f'{PART}.data_root={split}/']
    command += [f'{PART}.ann_file=instances.json', f'{PART}.data_prefix.img_path=JPEGImages/']
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def test_one_row_a_clip_length(tmp_path):
    split = write_videos(tmp_path / 'train', [5, 4])
    out = tmp_path / 'loader.md'
    done = run(split, '--clip-lengths', 1, 4, '--clips', 2, '--out', out)
    assert done.returncode == 0, done.stderr
    table = out.read_text()
    assert table in done.stdout
    rows = [
        [float(cell) for cell in re.findall(r'[\d.]+', line)] for line in table.split('\n')[2:4]
    ]
    assert [row[0] for row in rows] == [1, 4]
    for length, clips, frame, _, ratio in rows:
        assert abs(clips * length * frame / 1e3 - 1) < 0.1  # two roundings
        assert ratio > 0


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    split = write_videos(tmp_path / 'train', [4])
    for path in split.glob('JPEGImages/*/*'):
        path.write_bytes(b'no image')
    done = run(split, '--clip-lengths', 4, '--clips', 1)
    assert done.returncode == 2
    assert 'not a readable image' in done.stderr.splitlines()[-1]
