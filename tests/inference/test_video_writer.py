"""Writing videos: codec, sizes, timestamps, audio, and files after an error."""

import errno
import os
from itertools import islice

import av
import numpy as np
import pytest
from tiny_videos import CORNERS, RATE, gray, quarters, seen_corners, write_video

from axialvs.inference.pipeline import open_video
from axialvs.inference.readers import VideoReadError
from axialvs.inference.video_writer import TICKS, VideoWriter


def heard(path):
    """Return codec, duration and dominant frequency of a file's audio."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        parts = [f.to_ndarray() for f in container.decode(stream)]
        samples = np.concatenate(parts, axis=1)[0].astype(float)
        spectrum = np.abs(np.fft.rfft(samples))
        pitch = spectrum[1:].argmax() + 1
        seconds = len(samples) / stream.rate
        return stream.codec_context.codec.canonical_name, seconds, pitch / seconds


def written(path):
    """Read frames and stream properties of a file with PyAV."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return stream, frames


def test_a_written_video_is_h264_yuv420p_with_the_header_in_front(tmp_path):
    with VideoWriter(tmp_path / 'deep' / 'a.mp4', fps=RATE) as writer:
        for index in range(6):
            writer.write(gray(30 * index))
    path = tmp_path / 'deep' / 'a.mp4'
    stream, frames = written(path)
    assert stream.codec_context.codec.canonical_name == 'h264'
    assert stream.codec_context.pix_fmt == 'yuv420p'
    assert float(stream.average_rate) == RATE
    assert [round(f.to_ndarray(format='rgb24').mean() / 30) for f in frames] == list(range(6))
    np.testing.assert_allclose([f.time for f in frames], np.arange(6) / RATE)
    data = path.read_bytes()
    assert data.index(b'moov') < data.index(b'mdat')
    assert [p.name for p in path.parent.iterdir()] == ['a.mp4'], 'nothing else is left behind'


def test_colors_are_tagged_and_round_trip(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', fps=RATE) as writer:
        writer.write(quarters())
    stream, _ = written(tmp_path / 'a.mp4')
    assert stream.codec_context.colorspace == 1, 'BT.709'
    (frame,) = open_video(tmp_path / 'a.mp4')
    np.testing.assert_allclose(seen_corners(frame.image), CORNERS, atol=8)


def test_odd_sizes_are_padded_or_cropped(tmp_path):
    image = quarters(47, 63)
    for odd, size in (('pad', (64, 48)), ('crop', (62, 46))):
        with VideoWriter(tmp_path / f'{odd}.mp4', fps=RATE, odd=odd) as writer:
            writer.write(image)
        reader = open_video(tmp_path / f'{odd}.mp4')
        assert (reader.width, reader.height) == size
        (frame,) = reader
        np.testing.assert_allclose(seen_corners(frame.image), CORNERS, atol=8)
        last = frame.image[-1, -1].astype(int)
        np.testing.assert_allclose(last, CORNERS[3], atol=8)


def test_times_are_kept_and_increase(tmp_path):
    times = [0.04, 0.05, 0.4, 0.4, 0.3, 1.25]
    with VideoWriter(tmp_path / 'a.mp4') as writer:
        for index, time in enumerate(times):
            writer.write(gray(40 * index), time)
    _, frames = written(tmp_path / 'a.mp4')
    expected = [0.04, 0.05, 0.4, 0.4 + 1 / TICKS, 0.4 + 2 / TICKS, 1.25]
    np.testing.assert_allclose([f.time for f in frames], expected, atol=1e-6)


@pytest.mark.parametrize(
    ('name', 'codec', 'layout', 'state', 'result'),
    [
        ('in.mp4', 'aac', 'stereo', 'copied', 'aac'),
        ('in.mp4', 'mp3', 'mono', 'copied', 'mp3'),
        ('in.mkv', 'flac', 'stereo', 'transcoded', 'aac'),
        ('in.mkv', 'pcm_s16le', 'mono', 'transcoded', 'aac'),
        ('in.mp4', 'ac3', 'stereo', 'transcoded', 'aac'),
    ],
)
def test_audio_is_copied(tmp_path, name, codec, layout, state, result):
    source = write_video(tmp_path / name, [gray(10 * i) for i in range(20)], sound=(codec, layout))
    with VideoWriter(tmp_path / 'out.mp4', fps=RATE, audio_from=source) as writer:
        for frame in open_video(source):
            writer.write(frame.image, frame.timestamp)
    assert writer.sound_problem is None
    found, seconds, pitch = heard(tmp_path / 'out.mp4')
    assert found == result
    assert seconds == pytest.approx(2.0, abs=0.1)
    assert pitch == pytest.approx(440, rel=0.01)
    assert len(written(tmp_path / 'out.mp4')[1]) == 20


def test_audio_is_cut_to_the_video(tmp_path):
    source = write_video(tmp_path / 'a.mp4', [gray(9)] * 30, sound=('aac', 'stereo'))
    with VideoWriter(tmp_path / 'b.mp4', fps=RATE, audio_from=source) as writer:
        for frame in islice(open_video(source), 10):
            writer.write(frame.image, frame.timestamp)
    assert heard(tmp_path / 'b.mp4')[1] == pytest.approx(1.0, abs=0.1)


def test_audio_offset_is_kept(tmp_path):
    """In a transport stream audio and video start at different times."""
    source = write_video(tmp_path / 'a.ts', [gray(9)] * 20, sound=('aac', 'stereo'))
    with VideoWriter(tmp_path / 'b.mp4', fps=RATE, audio_from=source) as writer:
        for frame in open_video(source):
            writer.write(frame.image, frame.timestamp)

    def lead(path):
        with av.open(str(path)) as container:
            starts = [s.start_time * s.time_base for s in container.streams]
        return float(starts[0] - starts[1])

    assert abs(lead(source)) > 0.01
    assert lead(tmp_path / 'b.mp4') == pytest.approx(lead(source), abs=2e-3)


def test_source_without_audio_gives_a_silent_video(tmp_path):
    source = write_video(tmp_path / 'a.mp4', [gray(9)] * 3)
    with VideoWriter(tmp_path / 'b.mp4', fps=RATE, audio_from=source) as writer:
        writer.write(gray(9))
    with av.open(str(tmp_path / 'b.mp4')) as container:
        assert not container.streams.audio


def test_frames_written_before_an_error_are_kept(tmp_path):
    def work():
        with VideoWriter(tmp_path / 'a.mp4', fps=RATE) as writer:
            for index in range(5):
                writer.write(gray(40 * index))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(list(open_video(tmp_path / 'a.mp4'))) == 5


def test_no_file_without_frames(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', fps=RATE):
        pass
    assert list(tmp_path.iterdir()) == []


def test_old_file_is_kept_until_the_new_one_is_finished(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'old')
    writer = VideoWriter(path, fps=RATE)
    writer.write(gray(1))
    assert path.read_bytes() == b'old'
    writer.close()
    writer.close()
    assert len(list(open_video(path))) == 1


def test_errors_name_invalid_use_of_the_writer(tmp_path):
    with pytest.raises(ValueError, match=r'a\.webm: a video is written as \.mp4'):
        VideoWriter(tmp_path / 'a.webm')
    with pytest.raises(ValueError, match='fps 0 must be positive'):
        VideoWriter(tmp_path / 'a.mp4', fps=0)
    with pytest.raises(ValueError, match='refusing to overwrite the source'):
        VideoWriter(tmp_path / 'a.mp4', audio_from=tmp_path / 'a.mp4')
    with VideoWriter(tmp_path / 'a.mp4') as writer:
        with pytest.raises(ValueError, match='give fps or the timestamp'):
            writer.write(gray(1))
        writer.write(gray(1), 0.0)
        with pytest.raises(ValueError, match=r'frame 1 has .* \(20, 30\)'):
            writer.write(gray(1, 20, 30), 0.1)
        with pytest.raises(ValueError, match='uint8'):
            writer.write(gray(1).astype(float), 0.1)


def test_unreadable_audio_source_leaves_no_file(tmp_path):
    (tmp_path / 'text.mp4').write_bytes(b'hello')
    with (
        pytest.raises(VideoReadError, match=r'text\.mp4'),
        VideoWriter(tmp_path / 'a.mp4', fps=1, audio_from=tmp_path / 'text.mp4') as writer,
    ):
        writer.write(gray(1))
    assert [p.name for p in tmp_path.iterdir()] == ['text.mp4']


def test_full_disk_leaves_no_partial_file(tmp_path, monkeypatch):
    """The error names the requested file."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, 'No space left on device', 'x.mp4.partial')

    with VideoWriter(tmp_path / 'x.mp4', fps=RATE) as writer:
        writer.write(gray(0))
        monkeypatch.setattr(writer, '_even', refuse)
        with pytest.raises(OSError, match='No space left') as error:
            writer.write(gray(1))
    assert error.value.filename == str(tmp_path / 'x.mp4')
    assert not any(tmp_path.iterdir())


def test_two_processes_do_not_share_a_partial_file(tmp_path, monkeypatch):
    first = VideoWriter(tmp_path / 'x.mp4', fps=RATE)
    monkeypatch.setattr(os, 'getpid', lambda: 1)
    second = VideoWriter(tmp_path / 'x.mp4', fps=RATE)
    for value, writer in ((20, first), (200, second)):
        writer.write(gray(value))
    for value, writer in ((20, first), (200, second)):
        writer.close()
        with av.open(str(tmp_path / 'x.mp4')) as container:
            image = next(container.decode(video=0)).to_ndarray(format='rgb24')
        assert abs(image.mean() - value) < 3


@pytest.mark.parametrize('name', ['x' * 300 + '.mp4', 'file/x.mp4'])
def test_unwritable_path_raises_on_creation(tmp_path, name):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'x\.mp4'):
        VideoWriter(tmp_path / name, fps=RATE)
