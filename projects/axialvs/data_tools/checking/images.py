"""Looks for the image files of a data set and opens them, many at once."""

import io
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from os import path as osp

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from axialvs.data_tools.checking.findings import Findings
from axialvs.datasets.annotations.youtube_vis import Video

# Where EXIF says that the picture is to be turned by a quarter, as training's decoder does.
_ORIENTATION = 0x0112
_QUARTER_TURNS = range(5, 9)
_VIDEOS_AHEAD = 4  # videos in the queue of each thread, so that memory does not grow

# (kind, frame, problem)
_Fault = tuple[str, int, str]


def check_images(
    videos: Sequence[Video],
    folder: str,
    unit: str,
    findings: Findings,
    advance: Callable[[int], None],
    open_files: bool = True,
    workers: int = 2,
) -> None:
    """Notes images that are missing, cannot be decoded, break off or have a wrong size.

    Args:
        videos: Whose frames to look at.
        folder: That file names are relative to.
        unit: What one of `videos` is called in messages.
        findings: Where faults go.
        advance: Is told of so many more frames that are done.
        open_files: False only asks whether files are there and not empty.
        workers: Threads; decoding runs in parallel.
    """
    with ThreadPoolExecutor(workers) as pool:
        done = _map_ahead(
            pool, lambda video: _check_video(video, folder, open_files), videos, workers
        )
        for video, faults in zip(videos, done, strict=True):
            for kind, frame, problem in faults:
                where = f'{unit} {video.id}' + f', frame {frame}' * (unit == 'video')
                findings.add(kind, where, problem)
            advance(video.length)


def _map_ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Video], list[_Fault]],
    videos: Sequence[Video],
    workers: int,
) -> Iterable[list[_Fault]]:
    """As `pool.map`, but with a queue that is short."""
    waiting = iter(videos)
    queue = [pool.submit(function, v) for v in islice(waiting, workers * _VIDEOS_AHEAD)]
    while queue:
        yield queue.pop(0).result()
        queue.extend(pool.submit(function, video) for video in islice(waiting, 1))


def _check_video(video: Video, folder: str, open_files: bool) -> list[_Fault]:
    faults: list[_Fault] = []
    seen: dict[int, str] = {}
    for frame, name in enumerate(video.file_names):
        path = osp.join(folder, name)
        if not osp.isfile(path):
            faults.append(('image-missing', frame, path + _hint(path)))
            continue
        if not open_files:
            if not os.stat(path).st_size:
                faults.append(('image-unreadable', frame, f'{path}: the file is empty'))
            continue
        with open(path, 'rb') as file:
            data = file.read()
        fault = _fault_of(data, (video.width, video.height))
        if fault:
            faults.append((fault[0], frame, f'{path}: {fault[1]}'))
        other = seen.setdefault(zlib.crc32(data), name)
        if other != name:
            faults.append(('frame-same', frame, f'{name} has the bytes of {other}'))
    return faults


def _hint(path: str) -> str:
    """What is there instead of a missing file: the folder's nearest name, if any."""
    folder, name = osp.split(path)
    if not osp.isdir(folder):
        return ': there is no such folder'
    stem = osp.splitext(name)[0].lower()
    others = sorted(o for o in os.listdir(folder) if osp.splitext(o)[0].lower() == stem)
    return f': the folder has {others[0]}' if others else ''


def _fault_of(data: bytes, size: tuple[int, int]) -> tuple[str, str] | None:
    """What is wrong with an image file's bytes, or None; `size` is (width, height)."""
    if not data:
        return 'image-unreadable', 'the file is empty'
    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(_ORIENTATION) in _QUARTER_TURNS
            found = image.size[::-1] if turned else image.size
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        found = _size_by_opencv(data)  # which training decodes with, and which knows other formats
        if found is None:
            return 'image-unreadable', 'not an image, or of an unknown format'
    except Exception as error:  # decoders raise all sorts: OSError, SyntaxError, ValueError, ...
        return 'image-truncated', f'{error}'
    if found != size:
        return 'image-size', f'{_by(found)}, where the file of annotations says {_by(size)}'
    return None


def _size_by_opencv(data: bytes) -> tuple[int, int] | None:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else image.shape[1::-1]


def _by(size: tuple[int, int]) -> str:
    """'640x480' of (width, height)."""
    return f'{size[0]}x{size[1]}'
