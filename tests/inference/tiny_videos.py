"""Small videos made with PyAV only."""

from fractions import Fraction

import av
import numpy as np

from axialvs.inference.video_writer import TICKS

HEIGHT, WIDTH = 48, 64
RATE = 10
CORNERS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 40]])
"""Colors of the quarters: top left, top right, bottom left, bottom right."""


def quarters(height=HEIGHT, width=WIDTH):
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = CORNERS[:2]
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = CORNERS[2:]
    return image


def seen_corners(image):
    """Return the colors near the four corners, in the order of ``CORNERS``."""
    return [image[y, x].astype(int) for y in (4, -5) for x in (4, -5)]


def gray(value, height=HEIGHT, width=WIDTH):
    return np.full((height, width, 3), value, np.uint8)


def write_video(path, images, ticks=None, rotation=None, options=None, sound=None):
    """Write a video with PyAV. ticks: timestamps in 1/90000 s; sound: (codec, layout)."""
    with av.open(str(path), 'w', options=options or {}) as container:
        stream = container.add_stream('libx264', rate=RATE, options={'crf': '5', 'bf': '0'})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS)
        if rotation is not None:
            stream.set_display_rotation(*rotation)
        tone = None
        if sound:
            tone = container.add_stream(sound[0], rate=44100)
            tone.codec_context.layout = sound[1]
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts = ticks[index] if ticks else index * TICKS // RATE
            frame.time_base = Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound:
            frame = tone_frame(len(images) / RATE, sound[1])
            container.mux(tone.encode(frame))
            container.mux(tone.encode())
    return path


def tone_frame(seconds, layout, pitch=440, rate=44100):
    wave = 12000 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)
    channels = 1 if layout == 'mono' else 2
    samples = np.repeat(wave.astype(np.int16)[:, None], channels, axis=1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format='s16', layout=layout)
    frame.rate, frame.pts = rate, 0
    return frame
