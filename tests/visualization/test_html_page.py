"""Tests of the HTML page: its data, and its behavior in a headless browser."""

import json
import re
import shutil

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from axialvs.inference.video_writer import VideoWriter
from axialvs.structures import Track
from axialvs.visualization.html_page import Thumbnails, write_html_page
from axialvs.visualization.overlay import stuff_color, track_color

SIZE = HEIGHT, WIDTH = 48, 64
RATE, LENGTH = 10, 12
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)


def square(track: int, frame: int) -> np.ndarray:
    """Return a square of 10 pixels that moves right; track 2 is hidden in the last frames."""
    mask = np.zeros(SIZE, dtype=bool)
    if track == 1 or frame < 6:
        mask[4 + 24 * (track - 1) :][:10, 2 * frame : 2 * frame + 10] = True
    return mask


def rle(mask: np.ndarray) -> dict | None:
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) if mask.any() else None


@pytest.fixture(scope='module', params=[(True, True)])
def page(tmp_path_factory, request):
    """Write a page with two tracks, things by default, and a title that needs escaping."""
    folder = tmp_path_factory.mktemp('page')
    thumbnails = Thumbnails()
    with VideoWriter(folder / 'video.mp4', RATE) as writer:
        for frame in range(LENGTH):
            image = np.full((*SIZE, 3), 90, dtype=np.uint8)
            masks = np.stack([square(track, frame) for track in (1, 2)])
            image[masks.any(0)] = 200
            writer.write(image, frame / RATE)
            thumbnails.add(image, [1, 2], masks)
    tracks = [
        Track(i, i - 1, 1 / i, [rle(square(i, frame)) for frame in range(LENGTH)], is_thing)
        for i, is_thing in enumerate(request.param, start=1)
    ]
    write_html_page(
        folder / 'page.html',
        folder / 'video.mp4',
        tracks,
        ('cat', 'dog & </script> co'),
        [frame / RATE for frame in range(LENGTH)],
        range(100, 100 + LENGTH),
        thumbnails.crops,
        title='<b>clip</b> $100',
        num_left_out=17,
    )
    return folder / 'page.html'


def test_data_of_the_page(page):
    text = page.read_text()
    assert 'http://' not in text
    assert 'https://' not in text
    (embedded,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    data = json.loads(embedded)
    assert data['title'] == '<b>clip</b> $100'
    assert '17' in data['summary']
    assert [track['name'] for track in data['tracks']] == ['cat', 'dog & </script> co']
    assert data['frames'] == list(range(100, 100 + LENGTH))
    assert [x is None for x in data['tracks'][1]['rles']] == [False] * 6 + [True] * 6


def test_thumbnail_shows_the_largest_mask():
    thumbnails = Thumbnails()
    for size in (4, 10, 6):
        image = np.full((*SIZE, 3), size, dtype=np.uint8)
        mask = np.zeros((1, *SIZE), dtype=bool)
        mask[0, :size, :size] = True
        thumbnails.add(image, [7], mask)
    assert (thumbnails.crops[7] == 10).all()
    assert thumbnails.crops[7].shape == (11, 11, 3)  # with its margin, clipped at the border


@pytest.fixture
def browser_page(page):
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if CHROMIUM is None:
        pytest.skip('no Chromium found')
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        tab = browser.new_page(viewport={'width': 1200, 'height': 800})
        errors: list[str] = []
        tab.on('pageerror', lambda error: errors.append(str(error)))
        tab.goto(page.as_uri())
        tab.wait_for_function('document.getElementById("video").readyState >= 2')
        yield tab
        browser.close()
    assert errors == []


def drawn_masks(tab) -> np.ndarray:
    """Return the alpha channel (H, W) of the mask canvas."""
    alpha = tab.evaluate(
        """() => {
            const canvas = document.getElementById('masks');
            const context = canvas.getContext('2d');
            const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
            return [...pixels].filter((_, i) => i % 4 === 3);
        }"""
    )
    return np.array(alpha).reshape(SIZE)


def click_on(tab, x: float, y: float) -> None:
    """Click on a pixel of the frame."""
    box = tab.locator('#frame').bounding_box()
    tab.mouse.click(box['x'] + x / WIDTH * box['width'], box['y'] + y / HEIGHT * box['height'])


def test_masks_follow_the_video_and_can_be_hidden(browser_page):
    tab = browser_page
    assert np.array_equal(drawn_masks(tab) > 0, square(1, 0) | square(2, 0))
    tab.keyboard.press('ArrowRight')
    tab.wait_for_function('frame === 1')
    assert np.array_equal(drawn_masks(tab) > 0, square(1, 1) | square(2, 1))
    tab.click('li[data-id="1"]')
    assert np.array_equal(drawn_masks(tab) > 0, square(2, 1))
    tab.click('#none')
    assert not drawn_masks(tab).any()
    tab.click('#all')
    assert drawn_masks(tab).any()


def test_click_on_an_object_hides_its_mask(browser_page):
    tab = browser_page
    click_on(tab, 5.5, 8.5)
    assert np.array_equal(drawn_masks(tab) > 0, square(2, 0))
    assert tab.locator('li[data-id="1"]').get_attribute('aria-checked') == 'false'


def test_label_is_at_the_largest_part(browser_page):
    place = browser_page.evaluate(
        """() => {
            const mask = new Uint8Array(data.width * data.height), w = data.width;
            mask.fill(1, 2, 5);
            for (let y = 20; y < 40; y++) mask.fill(1, y * w + 30, y * w + 45);
            return widest(mask);
        }"""
    )
    assert place['corner'] == [30, 20]
    assert 30 < place['center'][0] < 45
    assert 20 < place['center'][1] < 40


@pytest.mark.parametrize('page', [(True, False)], indirect=True)
def test_stuff_is_toggled_as_a_group_only(browser_page):
    tab = browser_page
    click_on(tab, 5.5, 32.5)  # the stuff
    tab.wait_for_function('!video.paused')
    tab.click('#play')
    frame = tab.evaluate('frame')
    assert np.array_equal(drawn_masks(tab) > 0, square(1, frame) | square(2, frame))
    tab.click('#stuff')
    assert np.array_equal(drawn_masks(tab) > 0, square(1, frame))
    tab.click('#things')
    assert not drawn_masks(tab).any()
    tab.click('#stuff')
    assert np.array_equal(drawn_masks(tab) > 0, square(2, frame))
    assert drawn_masks(tab).max() < 0.45 * 255  # fainter than things, without a contour
    assert tab.locator('li[data-id="2"] .name').text_content() == 'dog & </script> co'
    color = tab.locator('li[data-id="2"] .swatch').evaluate('x => x.style.background')
    assert color == 'rgb({}, {}, {})'.format(*stuff_color(1))


def test_video_plays_to_the_end(browser_page):
    tab = browser_page
    tab.click('#play')
    tab.wait_for_function('frame >= 8', timeout=20_000)
    tab.click('#play')
    assert '10' in tab.locator('#time').text_content()
    frame = tab.evaluate('frame')
    assert np.array_equal(drawn_masks(tab) > 0, square(1, frame) | square(2, frame))


def test_colors_match_the_overlay(browser_page):
    color = browser_page.locator('li[data-id="2"] .swatch').evaluate('x => x.style.background')
    assert color == 'rgb({}, {}, {})'.format(*track_color(2))
