"""The command show_trajectories.py."""

import av
import numpy as np
import pytest
from PIL import Image

from encoded_videos import encode


@pytest.fixture
def video(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(7)]
    return encode(tmp_path / 'video.mp4', images)


def test_picture_and_video(run_tool, video, tmp_path, capsys):
    tool, picture = 'analysis_tools/show_trajectories.py', tmp_path / 'x.png'
    options = (video, '--point', 20, 30, '--frame', 1, '--step', 2)
    assert run_tool(tool, *options, '--out', picture) == 0
    assert '10x6 tokens' in capsys.readouterr().out
    assert Image.open(picture).width == 3 * 400 + 2 * 4 + 8
    options += ('--length', 2, '--layer', 0, '--out', tmp_path / 'x.mp4')
    assert run_tool(tool, *options, '--head', 1) == 0
    with av.open(str(tmp_path / 'x.mp4')) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2


@pytest.mark.parametrize(
    ('options', 'part'),
    [
        (('--point', 200, 5), '200, 5 of frame 0'),
        (('--point', 5, 5, '--frame', 9), 'no frame 9'),
        (('--point', 5, 5, '--layer', 6), '--layer 6'),
        (('--point', 5, 5, '--head', 99), '--head 99'),
        (('--point', 5, 5, '--step', 0), '--step: 0'),
    ],
)
def test_wrong_options(run_tool, video, tmp_path, capsys, options, part):
    out = tmp_path / 'x.png'
    assert run_tool('analysis_tools/show_trajectories.py', video, *options, '--out', out) == 2
    assert part in capsys.readouterr().err
    assert not out.exists()
