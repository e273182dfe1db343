"""End-to-end tests of the web page with shipped weights in a headless Chromium."""

import io
import json
import re
import shutil
import socket
import sys
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from axialvs.datasets.moving_shapes import generate_video
from axialvs.inference.video_writer import VideoWriter
from axialvs.utils.errors import AxialVSError

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)
SECONDS = 1000  # milliseconds


@pytest.fixture(scope='module')
def tab():
    """Open the page in a browser; neither it nor its server may access other machines."""
    pytest.importorskip('gradio', reason='gradio is not installed')
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if CHROMIUM is None:
        pytest.skip('no Chromium found')
    from axialvs.web import serve

    errors: list[str] = []
    hosts: set[str] = set()
    connect = socket.socket.connect

    def recording(self, address):
        if isinstance(address, tuple):
            hosts.add(address[0])
        return connect(self, address)

    socket.socket.connect = recording
    page = serve(wait=False)
    try:
        with api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
            tab = browser.new_page(viewport={'width': 1400, 'height': 950})
            tab.set_default_timeout(120 * SECONDS)
            tab.on('pageerror', lambda error: errors.append(str(error)))
            tab.on(
                'request', lambda request: hosts.update(re.findall(r'^\w+://([^/:]+)', request.url))
            )
            tab.goto(page.blocks.local_url)
            yield tab
            browser.close()
    finally:
        socket.socket.connect = connect
        page.blocks.close()
    assert errors == []
    assert hosts - {'127.0.0.1', 'localhost', '::1'} == set()


def segment(tab, video, model: str) -> None:
    """Drop a video, choose a model and start."""
    tab.get_by_label('Model').click()
    tab.get_by_role('option', name=model).click()
    if tab.get_by_label('Clear').count():
        tab.get_by_label('Clear').first.click()
    tab.locator('input[type=file]').first.set_input_files(video)
    tab.locator('video').wait_for()
    tab.get_by_role('button', name='Segment').click()


def downloaded(tab, name: str) -> bytes:
    link = tab.locator(f'a[download="{name}"]')
    link.wait_for()
    response = tab.request.get(link.get_attribute('href'))
    assert response.ok
    return response.body()


def ends(tab) -> list[float]:
    """Return the end of each track's bar in percent of the timeline."""
    styles = tab.locator('.track .bar i:last-child').evaluate_all(
        'x => x.map(y => y.style.cssText)'
    )
    numbers = [re.findall(r'(?:left|width): ([\d.]+)%', style) for style in styles]
    return [sum(map(float, pair)) for pair in numbers]


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Write a video to segment, and a long one to stop."""
    folder = tmp_path_factory.mktemp('videos')
    for name, repetitions in (('short', 1), ('long', 40)):
        with VideoWriter(folder / f'{name}.mp4', fps=8) as writer:
            for image in list(generate_video('panoptic', 2025, 0).frames[:9]) * repetitions:
                writer.write(image)
    return folder


def test_video_is_segmented_clip_by_clip(tab, videos):
    segment(tab, videos / 'short.mp4', 'panoptic, near-online')
    tab.locator('.track').first.wait_for()
    assert max(ends(tab)) <= 100
    tab.get_by_text('Done: 9 frames').wait_for()
    assert max(ends(tab)) == pytest.approx(100, abs=0.1)
    found = json.loads(downloaded(tab, 'tracks.json'))
    assert found['video']['length'] == 9
    rows = tab.locator('.track .name').all_text_contents()
    names = [
        f'{x["category"]} {x["id"]}' if x['is_thing'] else x['category'] for x in found['tracks']
    ]
    assert sorted(row.split(',')[0] for row in rows) == sorted(names)
    with zipfile.ZipFile(io.BytesIO(downloaded(tab, 'masks.zip'))) as masks:
        assert sorted(masks.namelist()) == [f'{i:05d}.png' for i in range(9)]
        ids = np.array(Image.open(masks.open('00004.png')))
    assert set(np.unique(ids)) - {0} <= {x['id'] for x in found['tracks']}
    (videos / 'overlay.mp4').write_bytes(downloaded(tab, 'overlay.mp4'))
    capture = cv2.VideoCapture(str(videos / 'overlay.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 9


def test_click_shows_the_trajectory(tab):
    """Uses the page of the previous test, whose overlay is 4 times as large as the video."""
    box = tab.locator('img').first.bounding_box()
    tab.mouse.click(box['x'] + 0.25 * box['width'], box['y'] + 0.5 * box['height'])
    sheet = tab.locator('img').nth(1)
    sheet.wait_for()
    width, height = sheet.evaluate('x => [x.naturalWidth, x.naturalHeight]')
    assert width > 500  # two frames
    assert height > 4 * 160


def test_stopped_run_keeps_finished_clips(tab, videos):
    segment(tab, videos / 'long.mp4', 'instances, near-online')
    tab.get_by_text(re.compile(r'Frame \d+ of 360')).wait_for()
    tab.get_by_role('button', name='Stop').click()
    tab.get_by_text('Stopped: ').wait_for()
    found = json.loads(downloaded(tab, 'tracks.json'))
    assert 3 <= found['video']['length'] < 360


def test_error_of_an_invalid_video_is_shown(tab, videos):
    (videos / 'broken.mp4').write_bytes(b'no video' * 100)
    segment(tab, videos / 'broken.mp4', 'instances, offline')
    tab.get_by_text('is not a video that FFmpeg can read').wait_for()


def test_error_without_gradio_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    monkeypatch.delitem(sys.modules, 'axialvs.web', raising=False)
    with pytest.raises(AxialVSError, match=r'axialvs\[web\]'):
        import axialvs.web  # noqa: F401
