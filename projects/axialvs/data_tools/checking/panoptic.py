"""Check the consistency of JSON, PNGs and images of panoptic data in VIPSeg's layout."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from axialvs.data_tools.checking.rules import Findings
from axialvs.data_tools.checking.target import Target
from axialvs.datasets.annotations.panoptic import (
    VOID,
    PanopticVideo,
    read_ground_truth,
    read_ids,
)
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import Category, Instance, Video, VideoAnnotations
from axialvs.datasets.class_names import repair_name
from axialvs.datasets.image_files import ImageFileError, image_size
from axialvs.utils.errors import AxialVSError

_MAX_UNLABELED = 0.5


class _CheckedVideo(NamedTuple):
    """Result of a video: faults (rule, frame, problem), size, and areas of each tube."""

    faults: list[tuple[str, str, str]]
    size: tuple[int, int]
    areas: dict[int, list[int]]


def is_panoptic(content: Any) -> bool:
    """Return whether a JSON file has panoptic annotations per video and frame."""
    annotations = content.get('annotations') if isinstance(content, dict) else None
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    return isinstance(first, dict) and 'video_id' in first and 'annotations' in first


def check_panoptic(
    target: Target, findings: Findings, open_images: bool, workers: int, show_progress: bool
) -> tuple[VideoAnnotations, list[float]]:
    """Check that JSON, PNGs and images are consistent.

    Args:
        target: the JSON file and its folders.
        findings: collects the findings.
        open_images: whether to check PNGs and images.
        workers: number of threads.
        show_progress: show a progress bar on stderr.

    Returns:
        Videos and tubes as instance annotations without masks, and the mean area of each tube, in
        pixels.

    Raises:
        AxialVSError: if the folder of PNGs is neither set nor next to the JSON file.
    """
    path = target.ann_file
    masks = target.masks or str(Path(path).with_name('panomasksRGB'))
    if not Path(masks).is_dir():
        raise AxialVSError(f'{path}: {masks} is not a folder; set the folder of PNGs with --masks')
    try:
        gt = read_ground_truth(path, masks)
    except AnnotationError as error:
        findings.add_error(error)
        return VideoAnnotations(path, (), (), None), []
    videos, instances, means = [], [], []
    with ThreadPoolExecutor(workers) as pool:
        checked = pool.map(lambda v: _check_video(v, masks, target.images, open_images), gt.videos)
        bar = tqdm(
            zip(gt.videos, checked, strict=True),
            total=len(gt.videos),
            unit='video',
            disable=not show_progress,
        )
        for number, (video, result) in enumerate(bar):
            for rule, frame, problem in result.faults:
                findings.add(rule, f'video {video.id}, frame {frame}', problem)
            names = tuple(f'{video.id}/{name}' for name in video.file_names)
            videos.append(Video(number, *result.size, len(names), names))
            for identifier, category in video.categories.items():
                visible = np.array([identifier in ids for ids in video.segments])
                crowd = identifier in video.crowds
                empty = (None,) * len(names)
                instances.append(Instance(identifier, number, category, empty, visible, crowd))
                areas = result.areas.get(identifier)
                means.append(float(np.mean(areas)) if areas else 0.0)
    categories = tuple(Category(c.id, repair_name(c.name), c.name) for c in gt.categories)
    return VideoAnnotations(path, categories, tuple(videos), tuple(instances)), means


def _check_video(
    video: PanopticVideo, masks: str, images: str | None, open_images: bool
) -> _CheckedVideo:
    faults: list[tuple[str, str, str]] = []
    areas: dict[int, list[int]] = defaultdict(list)
    sizes: Counter = Counter()
    for name, listed in zip(video.file_names, video.segments, strict=True):
        image = None if images is None else Path(images, video.id, f'{Path(name).stem}.jpg')
        if not open_images:
            paths = [Path(masks, video.id, name), *([image] if image else [])]
            faults += [('image-missing', name, str(p)) for p in paths if not p.is_file()]
            continue
        try:
            ids = read_ids(Path(masks, video.id, name))
        except FileNotFoundError as error:
            faults.append(('image-missing', name, str(error.filename)))
            continue
        except AnnotationError as error:
            faults.append(('image-unreadable', name, str(error)))
            continue
        size = ids.shape[::-1]
        sizes[size] += 1
        found = dict(zip(*(x.tolist() for x in np.unique(ids, return_counts=True)), strict=True))
        void = found.pop(VOID, 0)
        for identifier, area in found.items():
            areas[identifier].append(area)
        faults += _compare(name, found, listed)
        if void > _MAX_UNLABELED * ids.size:
            faults.append(('unlabeled-pixels', name, f'{void / ids.size:.0%}'))
        if image is not None:
            faults += _image_faults(image, name, size)
    if len(sizes) > 1:
        problem = ', '.join(f'{n} masks of {w}x{h}' for (w, h), n in sizes.items())
        faults.append(('mask-size', video.file_names[0], problem))
    return _CheckedVideo(faults, max(sizes, key=sizes.get, default=(1, 1)), areas)


def _compare(
    name: str, found: dict[int, int], listed: frozenset[int]
) -> Iterator[tuple[str, str, str]]:
    for identifier in sorted(found.keys() - listed):
        yield 'segment-missing', name, f'segment {identifier}, {found[identifier]} pixels'
    for identifier in sorted(listed - found.keys()):
        yield 'segment-unseen', name, f'segment {identifier}'


def _image_faults(path: Path, name: str, size: tuple[int, int]) -> Iterator[tuple[str, str, str]]:
    try:
        found = image_size(path)
    except FileNotFoundError:
        yield 'image-missing', name, str(path)
    except ImageFileError as error:
        yield 'image-unreadable', name, str(error)
    else:
        if found != size:
            problem = f'{path}: {found[0]}x{found[1]}, but its mask has {size[0]}x{size[1]}'
            yield 'image-size', name, problem
