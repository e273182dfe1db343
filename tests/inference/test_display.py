"""Video is converted as players display it: HDR, pixel shape, rotation, interlacing, alpha."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image, ImageOps

from axialvs.inference.pipeline import open_video
from axialvs.inference.readers import MemoryReader, VideoReadError
from axialvs.inference.video_file import VideoFileReader, _display_matrix, upright
from encoded_videos import encode

HEIGHT, WIDTH = 48, 64


def bars(values):
    """Return vertical gray bars (H, W, 3)."""
    image = np.zeros((HEIGHT, WIDTH, 3))
    for bar, value in zip(np.array_split(np.arange(WIDTH), len(values)), values, strict=True):
        image[:, bar] = value
    return image


def means(image, count, axis=None):
    """Return the mean of the middle of each bar."""
    columns = np.array_split(np.arange(WIDTH), count)
    return np.array([image[16:32, x[2:-2]].mean(axis) for x in columns])


BT709_TO_BT2020 = np.array(  # BT.2087
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)


def hlg(light):
    """BT.2100: display light (N, 3), 1 = diffuse white of 203 cd/m2, to HLG code values."""
    luma = light @ [0.2627, 0.6780, 0.0593]
    scene = light * 0.203 * (luma[:, None] * 0.203) ** ((1 - 1.2) / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    )


def pq(light):
    """ST 2084: display light, 1 = diffuse white of 203 cd/m2, to PQ code values."""
    y = (light * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


@pytest.mark.parametrize(
    ('transfer', 'code'),
    [
        (ColorTrc.ARIB_STD_B67, hlg),
        (ColorTrc.SMPTE2084, pq),
        (ColorTrc.BT2020_10, lambda light: light ** (1 / 2.4)),
    ],
    ids=['HLG', 'PQ', 'BT.2020'],
)
def test_hdr_and_wide_gamut_are_converted(tmp_path, transfer, code):
    """Below diffuse white, BT.709 colors come back; highlights are compressed, not clipped."""
    colors = np.array(
        [[20] * 3, [60] * 3, [160] * 3, [210] * 3, [200, 60, 60], [60, 180, 80], [90, 60, 180]]
    )
    sdr = transfer == ColorTrc.BT2020_10
    light = (colors / 255) ** 2.4 @ BT709_TO_BT2020.T
    if not sdr:
        light = np.concatenate([light, [[1.5] * 3, [4.0] * 3]])
    image = np.rint(bars(code(light)) * 65535).astype(np.uint16)
    path = encode(
        tmp_path / 'hdr.mp4',
        [image] * 2,
        pixel_format='yuv444p10le',
        colorspace=Colorspace.BT2020,
        color_primaries=ColorPrimaries.BT2020,
        color_trc=transfer,
        color_range=ColorRange.MPEG,
    )
    reader = VideoFileReader(path)
    found = means(next(iter(reader)).image, len(light), axis=(0, 1))
    np.testing.assert_allclose(found[: len(colors)], colors, atol=4)
    assert any(('BT.2020' if sdr else 'HDR') in note for note in reader.notes)
    if not sdr:
        dim, bright = found[-2:, 0]
        assert colors[3, 0] < dim < bright <= 255


def test_sdr_colors_are_unchanged(tmp_path):
    values = [20, 110, 210]
    reader = VideoFileReader(encode(tmp_path / 'x.mp4', [bars(values).astype(np.uint8)] * 2))
    np.testing.assert_allclose(means(next(iter(reader)).image, 3), values, atol=3)
    assert reader.notes == []


def test_pixels_become_square(tmp_path):
    ratio = Fraction(2, 1)
    path = encode(tmp_path / 'x.mp4', [bars([0, 255]).astype(np.uint8)], sample_aspect_ratio=ratio)
    reader = VideoFileReader(path)
    assert (reader.width, reader.height) == (2 * WIDTH, HEIGHT)
    image = next(iter(reader)).image
    assert image.shape == (HEIGHT, 2 * WIDTH, 3)
    assert image[:, : WIDTH - 4].max() < 20
    assert image[:, WIDTH + 4 :].min() > 235
    assert any('2:1' in note for note in reader.notes)


def test_interlaced_frames_are_not_combed(tmp_path):
    """The second field shows the object at a different position."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[::2, 10:20] = 255
    image[1::2, 30:40] = 255
    path = encode(
        tmp_path / 'x.mkv', [image] * 3, options={'crf': '1', 'x264-params': 'tff=1:interlaced=1'}
    )
    reader = VideoFileReader(path)
    shown = next(iter(reader)).image
    assert shown[4:-4, 12:18].min() > 200
    assert shown[4:-4, 32:38].max() < 60
    assert any('interlaced' in note for note in reader.notes)


def test_transparent_parts_are_black(tmp_path):
    image = np.full((HEIGHT, WIDTH, 4), 200, np.uint8)
    image[:, : WIDTH // 2, 3] = 0
    image[:, WIDTH // 2 :, 3] = 255
    for path in (
        encode(tmp_path / 'x.mkv', [image] * 2, 'ffv1', 'yuva420p', {'level': '3'}),
        tmp_path / 'x.png',
    ):
        if path.suffix == '.png':
            cv2.imwrite(str(path), image)
        shown = next(iter(open_video(path))).image
        assert shown[:, : WIDTH // 2 - 2].max() < 5
        np.testing.assert_allclose(shown[:, WIDTH // 2 + 2 :], 200, atol=4)


def test_changing_frame_size_keeps_the_aspect_ratio(tmp_path):
    """In a raw stream with two frame sizes, a square stays square."""
    square = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    square[20:30, 20:30] = 255
    turned = np.ascontiguousarray(square.transpose(1, 0, 2))
    parts = [encode(tmp_path / f'{i}.h264', [x] * 3) for i, x in enumerate((square, turned))]
    path = tmp_path / 'both.h264'
    path.write_bytes(b''.join(x.read_bytes() for x in parts))
    reader = VideoFileReader(path)
    last = list(reader)[-1].image
    assert last.shape == (HEIGHT, WIDTH, 3)
    rows, columns = np.nonzero(last[..., 0] > 128)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=1)
    assert any('size' in note for note in reader.notes)


@pytest.mark.parametrize('angle', [0, 90, 180, -90])
def test_rotation_without_known_side_data(tmp_path, angle):
    """PyAV refuses the side data of a frame if it does not know all of its types."""
    path = tmp_path / 'x.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, 'yuv420p'
        stream.set_display_rotation(angle)
        image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        known = upright(image, _display_matrix(frame))

    class Refusing:
        def get(self, key):
            raise ValueError('38 is not a valid Type')

    unknown = SimpleNamespace(side_data=Refusing(), rotation=frame.rotation)
    np.testing.assert_array_equal(upright(image, _display_matrix(unknown)), known)


def test_largest_stream_is_read(tmp_path):
    path = tmp_path / 'x.mkv'
    with av.open(str(path), 'w') as container:
        streams = []
        for size in (16, 64):
            stream = container.add_stream('libx264', rate=10)
            stream.width = stream.height = size
            stream.pix_fmt = 'yuv420p'
            streams.append(stream)
        for stream in streams:
            image = np.zeros((stream.height, stream.width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
            container.mux(stream.encode())
    reader = VideoFileReader(path)
    assert (reader.width, reader.height) == (64, 64)
    assert any('2 video streams' in note for note in reader.notes)


def test_text_file_raises(tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_text('a list of things to do\n' * 100)
    with pytest.raises(VideoReadError, match=r'notes\.txt'):
        open_video(path)


@pytest.mark.parametrize('damaged', [0, 3])
def test_damaged_frame_keeps_its_index(tmp_path, damaged):
    """One of 8 intra frames is overwritten, which also breaks the next one."""
    images = [bars([25 * i]).astype(np.uint8) for i in range(8)]
    path = encode(tmp_path / 'x.avi', images, 'png', 'rgb24', {})
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 8] == b'\x89PNG\r\n\x1a\n']
    data[starts[damaged] : starts[damaged] + 60] = bytes(60)
    path.write_bytes(data)
    reader = VideoFileReader(path)
    frames = list(reader)
    assert [x.index for x in frames] == [i for i in range(8) if i not in (damaged, damaged + 1)]
    for frame in frames:
        assert abs(frame.image.mean() - 25 * frame.index) < 4
    assert '6 frames are intact' in reader.truncated


def test_empty_avi_frames_are_not_missing(tmp_path):
    """AVI stores unchanged frames without data, which readers do not return."""
    images = [bars([25 * i]).astype(np.uint8) for i in range(8)]
    path = encode(tmp_path / 'x.avi', images, 'png', 'rgb24', {})
    data = path.read_bytes()
    start = data.index(b'movi') + 4
    end = start - 8 + struct.unpack('<I', data[start - 8 : start - 4])[0] + 4
    chunks, position = [], start
    while position < end:
        size = struct.unpack('<I', data[position + 4 : position + 8])[0]
        size += 8 + size % 2
        chunks.append(data[position : position + size])
        position += size
    frames = [i for i, chunk in enumerate(chunks) if chunk[2:4] == b'dc']
    chunks[frames[3]] = chunks[frames[3]][:4] + bytes(4)
    movie = b''.join(chunks)
    head = data[: start - 8] + struct.pack('<I', len(movie) + 4) + b'movi'
    content = head[8:] + movie
    path.write_bytes(head[:4] + struct.pack('<I', len(content)) + content)
    reader = VideoFileReader(path)
    found = list(reader)
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert [x.index for x in found] == list(range(7))
    assert [round(x.image.mean() / 25) for x in found] == kept
    assert [x.timestamp for x in found] == pytest.approx([0.1 * i for i in kept])
    assert reader.truncated is None


def test_skipped_files_of_a_folder_are_reported(tmp_path):
    for name in ('1.jfif', '2.jpg'):
        (tmp_path / name).write_bytes(cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1])
    (tmp_path / '3.jpg').symlink_to(tmp_path / 'gone.jpg')
    (tmp_path / 'notes.txt').touch()
    reader = open_video(tmp_path)
    assert reader.num_frames == 2
    (note,) = reader.notes
    assert '2 files' in note
    assert 'broken link' in note
    assert '.txt' in note


@pytest.mark.parametrize('mask', ['1.png', '1_mask.jpg'])
def test_images_and_masks_in_one_folder(tmp_path, mask):
    for name in ('1.jpg', '2.jpg', mask):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(VideoReadError, match=mask):
        open_video(tmp_path)


def write_stack(path, values):
    """Write a file of several gray images with the given values and, in TIFF, a preview."""
    images = [Image.fromarray(np.full((8, 6, 3), value, np.uint8)) for value in values]
    if path.suffix == '.tif':
        images.append(images[0].resize((3, 4)))
    format = 'MPO' if path.suffix == '.jpg' else None
    times = dict(duration=[100, 300, 100, 100]) if path.suffix in ('.png', '.webp') else {}
    images[0].save(path, format, save_all=True, append_images=images[1:], **times)
    return path


@pytest.mark.parametrize('suffix', ['.tif', '.png', '.webp'])
def test_multi_image_files_are_videos(tmp_path, suffix):
    values = [0, 80, 160, 240]
    reader = open_video(write_stack(tmp_path / f'stack{suffix}', values))
    times = [0, 0.04, 0.08, 0.12] if suffix == '.tif' else [0, 0.1, 0.4, 0.5]
    for _ in range(2):
        frames = list(reader)
        assert [frame.index for frame in frames] == [0, 1, 2, 3]
        assert [frame.timestamp for frame in frames] == pytest.approx(times)
        assert [frame.image.mean() for frame in frames] == pytest.approx(values, abs=2)
        assert all(frame.image.shape == (8, 6, 3) for frame in frames)
    assert len(reader.notes) == (suffix == '.tif')


def test_second_image_of_a_phone_photo_is_no_frame(tmp_path):
    reader = open_video(write_stack(tmp_path / 'stereo.jpg', [80, 200]))
    (frame,) = reader
    assert frame.image.mean() == pytest.approx(80, abs=2)
    assert '1 are left out' in reader.notes[0]


def test_skipped_images_of_a_folder_are_counted(tmp_path):
    write_stack(tmp_path / '1.tif', [0])
    write_stack(tmp_path / '2.tif', [0, 1, 2])
    reader = open_video(tmp_path)
    assert len(list(reader)) == 2
    (note,) = reader.notes
    assert '2 files' in note
    assert '4 are left out' in note


def test_truncated_animation(tmp_path):
    whole = write_stack(tmp_path / 'whole.png', [0, 80, 160, 240]).read_bytes()
    path = tmp_path / 'cut.png'
    path.write_bytes(whole[: whole.rindex(b'fdAT') + 8])
    reader = open_video(path)
    assert len(list(reader)) == 3
    assert '4' in reader.truncated


@pytest.mark.parametrize('depth', [np.float32, np.int32])
def test_tiff_of_depth_values_raises(tmp_path, depth):
    path = tmp_path / 'depth.tif'
    cv2.imwritemulti(str(path), [np.full((8, 8), 40, depth)] * 2)
    with pytest.raises(VideoReadError, match=r'depth\.tif'):
        open_video(path)


@pytest.mark.parametrize('num_pages', [1, 2])
def test_lab_tiff_raises(tmp_path, num_pages):
    pages = [Image.new('LAB', (8, 8), (80, 200, 40))] * num_pages
    pages[0].save(tmp_path / 'lab.tif', save_all=True, append_images=pages[1:])
    for source in (tmp_path / 'lab.tif', tmp_path):
        with pytest.raises(VideoReadError, match=r'lab\.tif: has L\*a\*b\*'):
            list(open_video(source))


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.tif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_images_and_alpha_are_rotated_by_exif_data(tmp_path, suffix, orientation):
    stored = np.full((8, 12, 4), 255, np.uint8)
    stored[:3, :5] = [200, 40, 60, 0]  # hidden
    stored[:3, 7:] = [40, 120, 200, 255]
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = orientation
    options = dict(lossless=True, exact=True) if suffix == '.webp' else {}
    image.save(tmp_path / f'x{suffix}', exif=exif, **options)
    (frame,) = open_video(tmp_path / f'x{suffix}')
    rgba = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(frame.image, rgba[..., :3] * (rgba[..., 3:] > 0))


def test_12_bit_values_in_16_bit_files(tmp_path):
    image = np.full((8, 8, 3), 2048, np.uint16)
    image[0, 0] = 4095
    cv2.imwrite(str(tmp_path / '1.png'), image)
    reader = open_video(tmp_path)
    assert next(iter(reader)).image[4, 4, 0] == 128
    assert any('12-bit' in note for note in reader.notes)


def test_frames_in_memory():
    frames = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    reader = open_video(frames, frame_rate=5)
    assert (reader.num_frames, reader.width, reader.height, reader.can_rewind) == (2, 6, 4, True)
    for _ in range(2):
        read = list(reader)
        assert [x.timestamp for x in read] == [0, 0.2]
        np.testing.assert_array_equal(np.stack([x.image for x in read]), frames)
    generator = open_video((x for x in frames), color='bgr')
    assert not generator.can_rewind
    np.testing.assert_array_equal([x.image for x in generator], frames[..., ::-1])


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        ([], 'no frames'),
        ([np.zeros((4, 6), np.uint8)], r'\(4, 6\) uint8'),
        ([np.zeros((4, 6, 3), np.float32)], 'float32'),
    ],
)
def test_invalid_frames_in_memory(frames, message):
    with pytest.raises(VideoReadError, match=message):
        MemoryReader(frames)


def test_url_is_not_reported_as_a_missing_file():
    with pytest.raises(VideoReadError, match='rtsp:') as error:
        open_video('rtsp://127.0.0.1:1/stream')
    assert 'no such file' not in str(error.value)
