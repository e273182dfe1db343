"""The command segment_video.py with several videos: names, failures, resuming."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from axialvs.inference.batch import describe_source, find_sources, name_sources
from axialvs.inference.pipeline import open_video
from axialvs.inference.readers import VideoReadError
from axialvs.inference.video_file import VideoFileReader
from axialvs.utils.errors import AxialVSError
from encoded_videos import encode
from generated_videos import frame_folders, write_videos

MODEL = ('--checkpoint', 'axialvs-wc_tiny_movingshapes')
NUM_FRAMES = 6


def write_video(path: Path, num_frames: int, value: int = 90) -> None:
    encode(path, [np.full((48, 64, 3), value, np.uint8)] * num_frames, 'libx264', 'yuv420p', {})


@pytest.fixture(scope='module')
def originals(tmp_path_factory):
    """Write two folders of frames, two videos and a broken one."""
    folder = tmp_path_factory.mktemp('originals')
    for frames in frame_folders(write_videos(folder / 'made', [NUM_FRAMES] * 2, seed=1)):
        shutil.copytree(frames, folder / 'clips' / f'frames_{frames.name}')
    shutil.rmtree(folder / 'made')
    for name in ('b', 'a'):
        write_video(folder / 'clips' / f'{name}.mp4', 4)
    (folder / 'clips' / 'broken.mp4').write_bytes(b'no video')
    (folder / 'clips' / 'notes.txt').write_text('not a video')
    return folder / 'clips'


@pytest.fixture
def clips(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / 'clips')


def test_folders_and_patterns_are_expanded_to_videos(clips):
    names = sorted(path.stem for path in clips.iterdir() if path.suffix != '.txt')
    sources, several = find_sources([str(clips)])
    assert several
    assert sorted(name_sources(sources)) == names
    assert find_sources([str(clips / '*.mp4'), str(clips / 'a.mp4')])[0] == [
        str(clips / f'{name}.mp4') for name in ('a', 'b', 'broken')
    ]
    frames = str(next(clips.glob('frames_*')))
    assert find_sources([frames]) == ([frames], False)
    assert find_sources(['rtsp://cam:554/one?x=*']) == (['rtsp://cam:554/one?x=*'], False)
    with pytest.raises(AxialVSError, match=r'\*\.mkv'):
        find_sources([str(clips / '*.mkv')])


def test_output_names_are_unique_and_keep_folders(tmp_path):
    for name in ('one/cam.mp4', 'two/cam.mp4', 'two/cam.avi', 'two/v1.2.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    sources = [str(x) for x in sorted(tmp_path.rglob('*.*'))]
    assert name_sources(sources) == ['one/cam', 'two/cam_avi', 'two/cam_mp4', 'two/v1.2']
    assert name_sources(['rtsp://10.0.0.1:554/live', '0']) == ['10.0.0.1_554_live', '0']


def test_passwords_are_never_printed_or_written():
    address = 'rtsp://admin:p@ss:word@127.0.0.1:9/live'
    assert name_sources([address]) == ['127.0.0.1_9_live']
    assert describe_source(address) == {'source': 'rtsp://127.0.0.1:9/live'}
    with pytest.raises(VideoReadError) as caught:
        open_video(address)
    assert str(caught.value).startswith('rtsp://127.0.0.1:9/live: ')
    assert 'word@' not in str(caught.value)


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(x.relative_to(folder)): x.read_bytes() for x in folder.rglob('*') if x.is_file()}


def test_broken_and_finished_videos_are_skipped(run_tool, clips, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'out'
    options = (*MODEL, '--json', out, '--boxes', out, '--masks', out / 'masks')
    assert run_tool('segment_video.py', clips, *options) == 2
    printed = capsys.readouterr()
    assert '4 videos segmented, 0 skipped, 1 failed' in printed.out
    assert printed.err.count(str(clips / 'broken.mp4')) == 2  # immediately, and at the end
    names = {path.stem for path in clips.iterdir()} - {'broken', 'notes'}
    assert {x.stem for x in out.glob('*.csv')} == names
    assert {x.name for x in (out / 'masks').iterdir() if x.is_dir()} == names
    for name in names:
        length = json.loads((out / f'{name}.json').read_text())['video']['length']
        assert length == len(list((out / 'masks' / name).iterdir()))

    before = outputs(out)
    (clips / 'broken.mp4').unlink()
    with monkeypatch.context() as patch:
        patch.setattr('axialvs.apis.init_segmenter', None)  # no model is built
        assert run_tool('segment_video.py', clips, *options) == 0
    assert outputs(out) == before
    assert '0 videos segmented, 4 skipped, 0 failed' in capsys.readouterr().out

    # Missing outputs and those of different settings are recreated.
    (out / 'a.csv').unlink()
    write_video(clips / 'b.mp4', 3, value=30)
    assert run_tool('segment_video.py', clips, *options) == 0
    assert '2 videos segmented, 2 skipped' in capsys.readouterr().out
    assert (out / 'a.csv').read_bytes() == before['a.csv']
    assert len(list((out / 'masks' / 'b').iterdir())) == 3
    assert run_tool('segment_video.py', clips, *options, '--score-thr', 0.9, '--overwrite') == 0
    assert '4 videos segmented' in capsys.readouterr().out


def test_unrelated_files_are_not_replaced(run_tool, clips, tmp_path, capsys):
    (tmp_path / 'a.json').write_text('mine')
    videos = (clips / 'a.mp4', clips / 'b.mp4')
    assert run_tool('segment_video.py', *videos, *MODEL, '--json', tmp_path) == 2
    assert str(tmp_path / 'a.json') in capsys.readouterr().err
    assert (tmp_path / 'a.json').read_text() == 'mine'
    assert (tmp_path / 'b.json').exists()
    # The same holds for one video and an existing folder.
    assert run_tool('segment_video.py', clips / 'a.mp4', *MODEL, '--json', tmp_path) == 2
    options = ('--json', tmp_path, '--overwrite')
    assert run_tool('segment_video.py', clips / 'a.mp4', *MODEL, *options) == 0
    assert json.loads((tmp_path / 'a.json').read_text())['video']['length'] == 4


def test_stopped_run_is_continued(run_tool, clips, tmp_path, capsys, monkeypatch):
    """After Ctrl-C the second video's frames so far are written, and the next run starts there."""
    out = tmp_path / 'out'
    options = (clips / 'a.mp4', clips / 'b.mp4', *MODEL, '--json', out, '--masks', out / 'masks')

    def interrupt_in_b(reader):
        for frame in frames_of(reader):
            if reader.source.endswith('b.mp4') and frame.index == 3:
                raise KeyboardInterrupt
            yield frame

    frames_of = VideoFileReader.__iter__
    with monkeypatch.context() as patch:
        patch.setattr(VideoFileReader, '__iter__', interrupt_in_b)
        assert run_tool('segment_video.py', *options) == 130
    assert f'{clips / "b.mp4"}: stopped' in capsys.readouterr().out
    assert json.loads((out / 'b.json').read_text())['video']['length'] == 3
    assert run_tool('segment_video.py', *options) == 0
    assert '1 videos segmented, 1 skipped' in capsys.readouterr().out
    assert json.loads((out / 'b.json').read_text())['video']['length'] == 4
    assert len(list((out / 'masks' / 'b').iterdir())) == 4


@pytest.mark.parametrize(
    ('options', 'part'),
    [
        (('--json', 'x.json'), 'x.json: several videos need a folder'),
        (('--masks', 'x', '--crops', 'x'), 'refusing to overwrite --masks'),
    ],
)
def test_outputs_that_would_replace_each_other(run_tool, clips, capsys, options, part):
    assert run_tool('segment_video.py', clips, *MODEL, *options) == 2
    assert part in capsys.readouterr().err


def test_unknown_class_is_reported_once(run_tool, clips, tmp_path, capsys):
    videos = (clips / 'a.mp4', clips / 'b.mp4')
    assert run_tool('segment_video.py', *videos, *MODEL, '--json', tmp_path, '--classes', 'x') == 2
    assert capsys.readouterr().err.count('unknown class x') == 1
