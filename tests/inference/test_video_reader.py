"""Reading videos: pixels, orientation, timestamps, folders, and broken files."""

import gc
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_videos import (
    CORNERS,
    HEIGHT,
    RATE,
    WIDTH,
    gray,
    quarters,
    seen_corners,
    tone_frame,
    write_video,
)

from axialvs.inference import stream_reader, video_file
from axialvs.inference.pipeline import open_video
from axialvs.inference.readers import VideoReadError
from axialvs.inference.video_file import upright
from axialvs.inference.video_writer import TICKS


def test_frames_have_the_right_pixels_indices_and_times(tmp_path):
    path = write_video(tmp_path / 'a.mp4', [gray(20 * i) for i in range(8)])
    reader = open_video(path)
    frames = list(reader)
    assert (reader.width, reader.height, reader.frame_rate) == (WIDTH, HEIGHT, RATE)
    assert reader.num_frames == 8
    assert reader.truncated is None
    assert [f.index for f in frames] == list(range(8))
    np.testing.assert_allclose([f.timestamp for f in frames], np.arange(8) / RATE, atol=1e-4)
    for index, frame in enumerate(frames):
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert abs(frame.image.mean() - 20 * index) < 3


def test_file_can_be_read_twice_and_closed_early(tmp_path):
    reader = open_video(write_video(tmp_path / 'a.mp4', [gray(20 * i) for i in range(8)]))
    assert [f.index for f in islice(reader, 3)] == [0, 1, 2]
    assert len(list(reader)) == 8
    assert len(list(reader)) == 8
    assert reader.truncated is None


def test_decoded_frames_are_freed(tmp_path):
    """If only the garbage collector frees frames, memory grows with the video."""
    reader = open_video(write_video(tmp_path / 'a.mp4', [gray(5 * i) for i in range(30)]))
    gc.collect()
    gc.disable()
    try:
        for frame in reader:
            alive = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
            assert alive <= 3, f'after frame {frame.index}'
    finally:
        gc.enable()


def test_colors_are_rgb(tmp_path):
    (frame,) = open_video(write_video(tmp_path / 'a.mp4', [quarters()]))
    np.testing.assert_allclose(seen_corners(frame.image), CORNERS, atol=6)


@pytest.mark.parametrize(
    ('rotation', 'expected'),
    [
        # Stored quarter displayed at the top left, top right, bottom left, bottom right.
        ((90,), [1, 3, 0, 2]),  # counter-clockwise
        ((180,), [3, 2, 1, 0]),
        ((-90,), [2, 0, 3, 1]),  # clockwise
        ((0, True, False), [1, 0, 3, 2]),  # left and right swapped
        ((0, False, True), [2, 3, 0, 1]),  # top and bottom swapped
    ],
)
def test_rotation_in_the_metadata_is_applied(tmp_path, rotation, expected):
    reader = open_video(write_video(tmp_path / 'a.mp4', [quarters()] * 2, rotation=rotation))
    sideways = abs(rotation[0]) == 90
    size = (HEIGHT, WIDTH) if sideways else (WIDTH, HEIGHT)
    assert (reader.width, reader.height) == size
    for frame in reader:
        assert frame.image.shape == (size[1], size[0], 3)
        assert frame.image.flags.c_contiguous
        np.testing.assert_allclose(seen_corners(frame.image), CORNERS[expected], atol=6)


def test_rotations_and_flips_follow_the_display_matrix():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, 5, 3), dtype=np.uint8)
    axes = [(1, 0, 0, 1), (0, 1, 1, 0)]
    for a, b, c, d in axes:
        for first in (1, -1):
            for second in (1, -1):
                matrix = np.array([[a * first, b * first, 0], [c * second, d * second, 0], [0] * 3])
                shown = upright(image, matrix << 16)
                # The matrix, applied to centered coordinates of each stored pixel.
                for y in range(3):
                    for x in range(5):
                        at = np.array([2 * x - 4, 2 * y - 2]) @ matrix[:2, :2]
                        size = np.array(shown.shape[1::-1])
                        column, row = (at + size - 1) // 2
                        assert np.array_equal(shown[row, column], image[y, x])


def test_times_of_a_variable_frame_rate_are_kept(tmp_path):
    ticks = [0, 3000, 30000, 33000, 90000]
    path = write_video(tmp_path / 'a.mp4', [gray(40 * i) for i in range(5)], ticks=ticks)
    times = [f.timestamp for f in open_video(path)]
    np.testing.assert_allclose(times, np.array(ticks) / TICKS, atol=1e-6)


def test_times_start_at_zero(tmp_path):
    """A transport stream may start at any timestamp."""
    ticks = [50_000 + i * TICKS // RATE for i in range(5)]
    path = write_video(tmp_path / 'a.ts', [gray(40 * i) for i in range(5)], ticks=ticks)
    with av.open(str(path)) as container:
        assert container.start_time > 0
    times = [f.timestamp for f in open_video(path)]
    np.testing.assert_allclose(times, np.arange(5) / RATE, atol=1e-4)


def test_colon_in_a_file_name_is_not_a_protocol(tmp_path):
    path = write_video(tmp_path / 'a.mp4', [gray(9)]).rename(tmp_path / 'pipe:1.mp4')
    assert len(list(open_video(path))) == 1


def noisy(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (count, 96, 128, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ('name', 'options'), [('a.mp4', {'movflags': '+faststart'}), ('a.mkv', {}), ('a.avi', {})]
)
def test_truncated_file_yields_valid_frames_and_a_note(tmp_path, name, options):
    path = write_video(tmp_path / name, noisy(20), options=options)
    whole = list(open_video(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = open_video(path)
    frames = list(reader)
    assert 5 <= len(frames) <= 14
    for frame, expected in zip(frames, whole, strict=False):
        assert np.array_equal(frame.image, expected.image)
    assert reader.truncated is not None


def test_damaged_section_is_skipped_and_noted(tmp_path):
    path = write_video(tmp_path / 'a.mp4', noisy(20), options={'movflags': '+faststart'})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    position, size = packets[10]
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes([255]) * size
    path.write_bytes(data)
    reader = open_video(path)
    assert 10 <= len(list(reader)) < 20
    assert 'corrupted' in reader.truncated


def test_image_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 9, 1, 2):
        cv2.imwrite(str(tmp_path / f'frame{number}.png'), gray(number * 10))
    cv2.imwrite(str(tmp_path / 'frame3.png'), quarters()[..., ::-1])
    (tmp_path / 'notes.txt').write_text('no image')
    reader = open_video(tmp_path, frame_rate=5)
    frames = list(reader)
    assert reader.num_frames == 5
    assert (reader.width, reader.height, reader.frame_rate) == (WIDTH, HEIGHT, 5)
    np.testing.assert_allclose([f.timestamp for f in frames], np.arange(5) / 5)
    assert [f.image[0, 0, 0] for f in frames] == [10, 20, 255, 90, 100]
    assert np.array_equal(frames[2].image, quarters())


def test_mixed_size_error_names_the_file(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), gray(1))
    cv2.imwrite(str(tmp_path / '2.png'), gray(1, 20, 30))
    with pytest.raises(VideoReadError, match=r'2\.png: has 30x20 pixels, but 1\.png has 64x48'):
        list(open_video(tmp_path))


def test_error_names_the_unreadable_image(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), gray(1))
    (tmp_path / '2.png').write_bytes(b'not a picture')
    with pytest.raises(VideoReadError, match=r'2\.png: is not a readable image'):
        list(open_video(tmp_path))


@pytest.mark.parametrize('delay', [None, 40])
def test_delays_of_a_gif(tmp_path, delay):
    pages = [Image.fromarray(image) for image in noisy(3)]
    options = {} if delay is None else dict(duration=delay)
    pages[0].save(tmp_path / 'a.gif', save_all=True, append_images=pages[1:], **options)
    assert [x.timestamp for x in open_video(tmp_path / 'a.gif')] == pytest.approx([0, 0.04, 0.08])


def test_gif_without_a_whole_frame(tmp_path):
    Image.fromarray(noisy(1)[0]).save(tmp_path / 'a.gif')
    data = (tmp_path / 'a.gif').read_bytes()
    (tmp_path / 'a.gif').write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoReadError, match=r'a\.gif: frame 1 of 1'):
        list(open_video(tmp_path / 'a.gif'))


@pytest.mark.parametrize(
    ('name', 'share', 'kept'), [('a.tif', 0.7, 3), ('a.gif', 0.9, 4), ('b.tif', 0.3, 1)]
)
def test_truncated_pages_are_noted(tmp_path, name, share, kept):
    if name == 'a.gif':
        pages = [Image.fromarray(image) for image in noisy(5)]
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:], duration=40)
    else:
        cv2.imwritemulti(str(tmp_path / name), noisy(5))
    reader = open_video(tmp_path / name)
    assert len(list(reader)) == 5
    assert reader.truncated is None
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    reader = open_video(tmp_path / name)
    assert len(list(reader)) == kept
    assert re.search('cut off|truncated', reader.truncated)


def test_animated_png_among_the_images_of_a_folder(tmp_path):
    pages = [Image.fromarray(image) for image in noisy(2)]
    pages[0].save(tmp_path / 'a.png', save_all=True, append_images=pages[1:])
    (frame,) = open_video(tmp_path)
    assert np.array_equal(frame.image, noisy(2)[0])
    data = (tmp_path / 'a.png').read_bytes()
    (tmp_path / 'a.png').write_bytes(data.replace(data[2000:2004], bytes(4)))
    with pytest.raises(VideoReadError, match=r'a\.png: is not a readable image'):
        open_video(tmp_path)


def test_errors_name_invalid_sources(tmp_path):
    with pytest.raises(VideoReadError, match=r'nope\.mp4: no such file'):
        open_video(tmp_path / 'nope.mp4')
    with pytest.raises(VideoReadError, match='99999999999: no such file'):
        open_video('99999999999')
    with pytest.raises(VideoReadError, match='holds no images'):
        open_video(tmp_path)
    for name, content in (('text.mp4', b'hello ' * 99), ('empty.mp4', b'')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VideoReadError, match=f'{name}: is not a video'):
            open_video(tmp_path / name)
    with pytest.raises(VideoReadError, match='camera 97'):
        open_video('97')


def test_file_without_a_video_stream_raises(tmp_path):
    path = tmp_path / 'tone.wav'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=44100)
        stream.codec_context.layout = 'mono'
        container.mux(stream.encode(tone_frame(0.2, 'mono')))
    with pytest.raises(VideoReadError, match=r'tone\.wav: has audio but no video'):
        open_video(path)


def test_video_without_a_readable_frame_raises(tmp_path):
    path = write_video(tmp_path / 'a.mp4', noisy(3), options={'movflags': '+faststart'})
    with av.open(str(path)) as container:
        start = min(p.pos for p in container.demux(video=0) if p.size)
    path.write_bytes(path.read_bytes()[:start])
    with pytest.raises(VideoReadError, match='without a single readable frame'):
        open_video(path)


@pytest.fixture
def stalling_address(tmp_path):
    """Serve an MPEG-TS stream over HTTP that stays open after its 40 frames."""
    data = write_video(tmp_path / 'stream.ts', [gray(90)] * 40).read_bytes()
    listener = socket.create_server(('127.0.0.1', 0))
    connections = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            connections.append(connection)
            connection.recv(4096)
            connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n' + data)

    threading.Thread(target=serve, daemon=True).start()
    yield f'http://127.0.0.1:{listener.getsockname()[1]}/live'
    for open_socket in (listener, *connections):
        open_socket.close()


def test_stalled_stream_ends_with_a_note(stalling_address, monkeypatch):
    monkeypatch.setattr(video_file, '_STREAM_TIMEOUT', 1.0)
    reader = open_video(stalling_address, reconnect=0)
    assert not reader.can_rewind
    frames = list(reader)
    assert len(frames) > 30
    assert reader.truncated == f'no data for 1 s after {len(frames)} frames'


def test_interrupted_live_stream_is_reopened(tmp_path, monkeypatch, caplog):
    """A camera disconnects twice and then is gone: frames keep their order and gaps are noted."""
    monkeypatch.setattr(stream_reader, '_FIRST_DELAY', 0.3)
    data = write_video(tmp_path / 'stream.ts', [gray(90)] * 40).read_bytes()
    listener = socket.create_server(('127.0.0.1', 0))

    def serve():
        for _ in range(4):  # the first connection is for probing the stream
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n' + data)
            connection.close()
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    address = f'http://user:secret@127.0.0.1:{listener.getsockname()[1]}/live'
    reader = open_video(address, reconnect=2)
    frames = list(reader)
    assert len(frames) == 3 * 40
    positions = np.array([frame.index for frame in frames])
    steps = np.diff(positions)
    gaps = np.flatnonzero(steps > 1)
    assert gaps.tolist() == [39, 79]
    assert (steps[gaps] > 0.3 * RATE).all()
    times = np.array([frame.timestamp for frame in frames])
    np.testing.assert_allclose(np.diff(times), steps / RATE, atol=0.01)
    missing = int((steps - 1).sum())
    assert f'lost 2 times, about {missing} frames' in reader.truncated
    assert '0.3 s' in caplog.text
    assert 'secret' not in caplog.text


def test_interrupted_download_is_resumed(tmp_path):
    """The HTTP server disconnects after every quarter of the file but supports ranges."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(12)]
    path = write_video(tmp_path / 'a.mp4', images)
    data = path.read_bytes()
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            start = int(self.headers.get('Range', 'bytes=0-')[6:].split('-')[0])
            requests.append(start)
            self.send_response(206)
            self.send_header('Accept-Ranges', 'bytes')
            self.send_header('Content-Range', f'bytes {start}-{len(data) - 1}/{len(data)}')
            self.send_header('Content-Length', str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + len(data) // 4])
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        reader = open_video(f'http://127.0.0.1:{server.server_port}/a.mp4')
        assert reader.can_rewind
        frames = list(reader)
    finally:
        server.shutdown()
        server.server_close()
    assert reader.truncated is None
    assert max(requests) > len(data) // 2
    for frame, expected in zip(frames, open_video(path), strict=True):
        assert np.array_equal(frame.image, expected.image)
        assert frame.timestamp == expected.timestamp


@pytest.mark.parametrize('address', ['rtsp://127.0.0.1:9/cam', 'http://127.0.0.1:9/cam', 'x://cam'])
def test_error_names_the_unreachable_address(address):
    with pytest.raises(VideoReadError, match=address):
        open_video(address)
