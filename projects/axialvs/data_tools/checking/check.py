"""The whole check of a data set."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from axialvs.data_tools.checking.contents import Contents, read_contents
from axialvs.data_tools.checking.findings import Findings
from axialvs.data_tools.checking.images import check_images
from axialvs.data_tools.checking.report import Report
from axialvs.data_tools.checking.statistics import statistics
from axialvs.data_tools.checking.targets import Target
from axialvs.data_tools.checking.tracks import check_tracks
from axialvs.data_tools.checking.videos import check_classes, check_frames, check_names, check_use

_MIN_AREA = 64.0  # pixels


def check_dataset(
    target: Target,
    open_images: bool = True,
    min_area: float = _MIN_AREA,
    workers: int = 2,
    show_progress: bool = True,
) -> Report:
    """Checks an annotation file and its images.

    Args:
        target: What to check.
        open_images: False only asks whether image files are there.
        min_area: Pixels that the largest mask of an instance has to have.
        workers: Threads that open images.
        show_progress: Show progress bars on the error stream.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not readable as JSON, or the class list is wrong.
    """
    findings = Findings()

    def progress(items: Iterable, total: int, unit: str) -> Iterable:
        return tqdm(items, total=total, unit=unit, disable=not show_progress)

    contents = read_contents(target.ann_file, findings, progress)
    check_names(contents, findings)
    learnt = check_classes(
        contents, target.classes, findings, target.allow_unlisted, target.synonyms
    )
    areas = check_tracks(contents.tracks or (), min_area, findings)
    check_use(contents, learnt, target.needs_annotations, findings)
    check_frames(contents, target.clip_length, findings)
    if target.images is not None:
        total = sum(video.length for video in contents.videos)
        with tqdm(total=total, unit='image', disable=not show_progress) as bar:
            check_images(
                contents.videos,
                target.images,
                contents.unit,
                findings,
                bar.update,
                open_images,
                workers,
            )
    return Report(
        target.ann_file,
        'COCO' if contents.stills else 'YouTube-VIS',
        _images_in_words(target, open_images),
        _comparison_in_words(target, contents),
        findings,
        statistics(contents, areas),
    )


def _images_in_words(target: Target, open_images: bool) -> str:
    if target.images is None:
        return 'not looked at; give their folder with --images'
    return f'{target.images or "."}: ' + ('opened' if open_images else 'looked for, not opened')


def _comparison_in_words(target: Target, contents: Contents) -> str:
    classes: Any = target.classes
    if classes is None:
        classes = "the file's own classes"
    else:
        classes = f'classes {classes!r}' if isinstance(classes, str) else f'{len(classes)} classes'
    parts = [classes]
    if target.clip_length and not contents.stills:
        parts.append(f'clips of {target.clip_length} frames')
    return ', '.join(parts) + (f', from {target.source}' if target.source else '')
