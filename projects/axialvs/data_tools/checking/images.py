"""Check image files, decoded as in training."""

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from os import path as osp
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from axialvs.data_tools.checking.masks import describe
from axialvs.data_tools.checking.rules import Findings
from axialvs.datasets.annotations.youtube_vis import Video, VideoAnnotations
from axialvs.datasets.image_files import ImageFileError, image_size, is_truncated_jpeg

_VIDEOS_AHEAD = 64  # limits memory

# (rule, frame, problem)
_Fault = tuple[str, int, str]


def check_images(
    annotations: VideoAnnotations,
    folder: str,
    findings: Findings,
    open_files: bool = True,
    workers: int = 2,
    show_progress: bool = True,
) -> None:
    """Report images that are missing, unreadable, truncated or of a wrong size.

    Args:
        annotations: content of the annotation file.
        folder: folder that file names are relative to.
        findings: collects the findings.
        open_files: whether to open files, or only check that they exist and are not empty.
        workers: number of threads that decode images.
        show_progress: show a progress bar on stderr.
    """
    cv2.setLogLevel(0)  # decoding errors are reported as findings
    videos = annotations.videos
    total = sum(video.length for video in videos)
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=total, unit='image', disable=not show_progress) as bar,
    ):
        for start in range(0, len(videos), _VIDEOS_AHEAD):
            batch = videos[start : start + _VIDEOS_AHEAD]
            done = pool.map(lambda video: list(_check_video(video, folder, open_files)), batch)
            for video, faults in zip(batch, done, strict=True):
                for rule, frame, problem in faults:
                    where = describe(annotations, video.id, frame=frame)
                    findings.add(rule, where, problem)
                bar.update(video.length)


def _check_video(video: Video, folder: str, open_files: bool) -> Iterator[_Fault]:
    seen: dict[int, str] = {}
    for frame, name in enumerate(video.file_names):
        path = osp.join(folder, name)
        if not osp.isfile(path):
            yield 'image-missing', frame, path + _hint(path)
        elif not osp.getsize(path):
            yield 'image-unreadable', frame, f'{path}: the file is empty'
        elif open_files:
            data = Path(path).read_bytes()
            fault = _fault_of(path, data, (video.width, video.height))
            if fault:
                yield fault[0], frame, f'{path}: {fault[1]}'
            other = seen.setdefault(zlib.crc32(data), name)
            if other != name:
                yield 'frame-same', frame, f'{name} is identical to {other}'


def _hint(path: str) -> str:
    """Look for a missing file under a name of different case or suffix, for the message."""
    folder, name = osp.split(path)
    if not osp.isdir(folder):
        return ': the folder does not exist'
    stem = osp.splitext(name)[0].lower()
    others = sorted(o.name for o in Path(folder).iterdir() if o.stem.lower() == stem)
    return f': the folder has {others[0]}' if others else ''


def _fault_of(path: str, data: bytes, size: tuple[int, int]) -> tuple[str, str] | None:
    """Return the violated rule and the problem of an image file; `size` is (width, height)."""
    try:
        found = image_size(path)  # before decoding, because the header may declare a huge size
    except ImageFileError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            return 'image-unreadable', f'{error}'.removeprefix(f'{path}: ')
        found = size  # formats only supported by OpenCV
    if found == size:
        is_png = data.startswith(b'\x89PNG')
        if is_truncated_jpeg(path) or (is_png and b'IEND' not in data[-64:]):
            return 'image-truncated', 'the end of the image is missing'
        image = _decode(data)
        if image is None:
            return 'image-unreadable', 'not an image, corrupt, or in an unsupported format'
        found = image.shape[1::-1]
    if found != size:
        expected = f'{size[0]}x{size[1]} in the annotation file'
        return 'image-size', f'{found[0]}x{found[1]}, but {expected}'
    return None


def _decode(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
