"""Tests of RTSP streams as sent by cameras, over a real connection."""

from itertools import islice

import numpy as np
import pytest

from axialvs.inference import stream_reader
from axialvs.inference.pipeline import open_video
from rtsp_server import rtsp_server

RATE, LENGTH = 10, 6


@pytest.fixture(scope='module')
def camera():
    """Serve frames with gray value 30 * i + 20 and return the URL and the requests."""
    images = [np.full((48, 64, 3), 30 * i + 20, np.uint8) for i in range(LENGTH)]
    with rtsp_server(images, RATE) as served:
        yield served


def numbers(frames) -> list[int]:
    return [round((frame.image.mean() - 20) / 30) for frame in frames]


def test_frames_arrive_over_tcp_with_timestamps(camera):
    address, requests = camera
    reader = open_video(address, reconnect=0)
    assert (reader.width, reader.height, reader.frame_rate) == (64, 48, RATE)
    assert reader.is_live
    assert not reader.can_rewind
    frames = list(reader)
    assert numbers(frames) == list(range(LENGTH))
    # The first one has no timestamp.
    assert [frame.timestamp for frame in frames] == pytest.approx([i / RATE for i in range(LENGTH)])
    transports = [transport for method, transport in requests if method == 'SETUP']
    assert all('RTP/AVP/TCP' in transport for transport in transports)


def test_ended_stream_is_reopened(camera, monkeypatch):
    monkeypatch.setattr(stream_reader, '_FIRST_DELAY', 0.3)
    frames = list(islice(open_video(camera[0]), 2 * LENGTH))
    assert numbers(frames) == 2 * list(range(LENGTH))
    indices = [frame.index for frame in frames]
    missed = indices[LENGTH] - LENGTH
    assert indices == [*range(LENGTH), *range(LENGTH + missed, 2 * LENGTH + missed)]
    assert missed >= 3  # while disconnected
    assert np.diff([frame.timestamp for frame in frames]).min() > 0
