"""Self-contained HTML page of a video: player with masks, timeline, thumbnails."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import cv2
import numpy as np

from axialvs.structures import Track
from axialvs.utils.files import write_atomically
from axialvs.visualization.overlay import MASK_OPACITY, STUFF_OPACITY, stuff_color, track_color

_THUMBNAIL_SIDE = 160  # pixels
_MARGIN = 0.1  # around an object, as a fraction of its longer side


class Thumbnails:
    """Keep the crop of each track from the frame in which its mask is largest."""

    def __init__(self) -> None:
        self._areas: dict[int, int] = {}
        self.crops: dict[int, np.ndarray] = {}

    def add(self, image: np.ndarray, ids: Sequence[int], masks: np.ndarray) -> None:
        """Add the tracks of one frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            ids: (n,) track ids.
            masks: (n, H, W) bool.
        """
        for track_id, mask in zip(ids, masks, strict=True):
            area = int(np.count_nonzero(mask))
            if area > self._areas.get(int(track_id), 0):
                self._areas[int(track_id)] = area
                self.crops[int(track_id)] = _crop(image, mask)


def _crop(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    margin = round(_MARGIN * max(width, height))
    crop = image[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    scale = _THUMBNAIL_SIDE / max(crop.shape[:2])
    if scale < 1:
        crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(crop).copy()


def write_html_page(
    path: str | Path,
    video: str | Path,
    tracks: Sequence[Track],
    class_names: Sequence[str],
    timestamps: Sequence[float],
    frame_indices: Sequence[int],
    thumbnails: Mapping[int, np.ndarray],
    title: str,
    footer: str = '',
    num_left_out: int = 0,
) -> None:
    """Write a page that needs neither a network nor other files.

    Args:
        path: HTML file to write, atomically.
        video: H.264 video of the frames, embedded; its first frame is at 0 s.
        tracks: tracks to show, with one RLE or None per frame; things come first in the page.
        class_names: name of each label.
        timestamps: time of each frame in the video, seconds.
        frame_indices: number of each frame in the source.
        thumbnails: track id -> crop (h, w, 3), uint8 RGB, see `Thumbnails`.
        title: heading of the page.
        footer: small print, for example model and version.
        num_left_out: number of tracks below the score threshold, which are not shown.
    """
    start = timestamps[0] if len(timestamps) else 0.0
    height, width = _size(tracks, video)
    summary = f'{len(timestamps)} frames, {width}x{height}, {len(tracks)} tracks'
    if num_left_out:
        summary += f' ({num_left_out} more below the score threshold)'
    data = {
        'title': title,
        'summary': summary,
        'footer': footer,
        'width': width,
        'height': height,
        'times': [round(t - start, 6) for t in timestamps],
        'frames': list(frame_indices),
        'stuffOpacity': STUFF_OPACITY / MASK_OPACITY,
        'tracks': [
            _row(track, class_names, thumbnails)
            for track in sorted(tracks, key=lambda track: not track.is_thing)
        ],
        'video': base64.b64encode(Path(video).read_bytes()).decode(),
    }
    page = Template(files('axialvs.visualization').joinpath('page.html').read_text('utf-8'))
    # `</` would end the script element that holds the data.
    embedded = json.dumps(data, ensure_ascii=False).replace('</', '<\\/')
    text = page.substitute(title=html.escape(title), data=embedded)
    write_atomically(path, text.encode())


def _row(track: Track, class_names: Sequence[str], thumbnails: Mapping[int, np.ndarray]) -> dict:
    visible = sum(x is not None for x in track.segmentations)
    return {
        'id': track.id,
        'name': class_names[track.label],
        'thing': track.is_thing,
        'what': f'score {track.score:.2f}, {visible} of {len(track.segmentations)} frames',
        'color': track_color(track.id) if track.is_thing else stuff_color(track.label),
        'rles': [None if x is None else _counts(x) for x in track.segmentations],
        'thumbnail': _jpeg(thumbnails.get(track.id)),
    }


def _counts(rle: dict) -> str:
    counts = rle['counts']
    return counts.decode() if isinstance(counts, bytes) else counts


def _size(tracks: Sequence[Track], video: str | Path) -> tuple[int, int]:
    """Return height and width of the masks, or of the video if there are none."""
    for track in tracks:
        for rle in track.segmentations:
            if rle is not None:
                return rle['size'][0], rle['size'][1]
    capture = cv2.VideoCapture(str(video))
    size = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    capture.release()
    return size


def _jpeg(image: np.ndarray | None) -> str:
    if image is None:
        return ''
    _, encoded = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return base64.b64encode(encoded.tobytes()).decode()
