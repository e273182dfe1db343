"""Looks at videos and categories: what training leaves out, repeats or never sees."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from axialvs.data_tools.checking.contents import Contents, Track
from axialvs.data_tools.checking.findings import Findings
from axialvs.datasets.annotations.youtube_vis import Category
from axialvs.datasets.class_names import resolve_class_list
from axialvs.datasets.classes import compare_classes, match_coco_classes


def check_names(contents: Contents, findings: Findings) -> None:
    """Notes category names that are mended when they are read."""
    for category, written in zip(contents.categories, contents.names, strict=True):
        if written != category.name:
            problem = f'{written!r} is read as {category.name!r}'
            findings.add('name-mended', f'category {category.id}', problem)


def check_classes(
    contents: Contents,
    classes: str | Sequence[str] | None,
    findings: Findings,
    allow_unlisted: bool = False,
    synonyms: Mapping[str, str | Sequence[str]] | None = None,
) -> set[int]:
    """Compares the file's categories with the classes that are trained.

    Args:
        contents: The file.
        classes: As the data set takes them; None for the file's own categories.
        findings: Where faults go.
        allow_unlisted: Whether file and list may differ.
        synonyms: As `CocoClips` takes them.

    Returns:
        Ids of the categories that are learnt.

    Raises:
        ValueError: The class list itself is wrong.
    """
    if classes is None:
        return {category.id for category in contents.categories}
    if contents.stills:
        return _check_coco_classes(contents, classes, synonyms, findings)
    if allow_unlisted:
        findings.severities.update(
            {'class-without-category': 'warning', 'category-without-class': 'warning'}
        )
    absent, unlisted = compare_classes(resolve_class_list(classes), contents.categories)
    for name in absent:
        findings.add('class-without-category', f'class {name!r}')
    for category in unlisted:
        findings.add('category-without-class', _named(category))
    return {category.id for category in contents.categories} - {c.id for c in unlisted}


def _check_coco_classes(
    contents: Contents,
    classes: str | Sequence[str],
    synonyms: Mapping[str, str | Sequence[str]] | None,
    findings: Findings,
) -> set[int]:
    labels = match_coco_classes(contents.categories, classes, contents.path, synonyms)
    for name, category_id in zip(labels.classes, labels.category_ids, strict=True):
        if category_id is None:
            findings.add('class-without-stills', f'class {name!r}')
    for category in contents.categories:
        if category.id not in labels.labels:
            findings.add('category-dropped', _named(category))
    return set(labels.labels)


def check_use(
    contents: Contents, learnt: set[int], needs_annotations: bool, findings: Findings
) -> None:
    """Notes categories and videos that nothing is learnt of.

    Args:
        contents: The file.
        learnt: Ids of the categories that are learnt.
        needs_annotations: Whether a file without annotations is an error.
        findings: Where faults go.
    """
    if contents.tracks is None:
        if needs_annotations:
            findings.severities['no-annotations'] = 'error'
        findings.add('no-annotations', '', "field 'annotations' is missing or null")
        return
    used = {track.category_id for track in contents.tracks}
    for category in contents.categories:
        if category.id not in used:
            findings.add('category-unused', _named(category))
    shown = {track.video.id for track in contents.tracks if _is_learnt(track, learnt)}
    for video in contents.videos:
        if video.id not in shown:
            findings.add('video-empty', f'{contents.unit} {video.id}')
    if not shown:
        findings.add('nothing-to-learn', '')


def _is_learnt(track: Track, learnt: set[int]) -> bool:
    return track.category_id in learnt and not track.iscrowd and bool(track.visible.any())


def check_frames(contents: Contents, clip_length: int | None, findings: Findings) -> None:
    """Notes short videos, and frames that stand twice or in a wrong order."""
    owners: dict[str, str] = {}
    for video in contents.videos:
        where = f'{contents.unit} {video.id}'
        if clip_length and not contents.stills and video.length < clip_length:
            findings.add('video-short', where, f'{video.length} frames, clips have {clip_length}')
        frames = defaultdict(list)
        for frame, name in enumerate(video.file_names):
            frames[name].append(frame)
        for name, places in frames.items():
            if len(places) > 1:
                findings.add('frame-twice', where, f'{name} is frame {_listed(places)}')
            other = owners.setdefault(name, where)
            if other != where:
                findings.add('frame-twice', where, f'{name} is a frame of {other} too')
        _check_order(where, list(frames), findings)


def _check_order(where: str, names: Sequence[str], findings: Findings) -> None:
    """Compares frames with the order of the last numbers in their names, where all have one."""
    numbers = [re.findall(r'\d+', name.rpartition('/')[2])[-1:] for name in names]
    if [] in numbers:
        return
    order = sorted(range(len(names)), key=lambda frame: int(numbers[frame][0]))
    first = next((frame for frame, other in enumerate(order) if frame != other), None)
    if first is not None:
        problem = f'frame {first} is {names[first]}, not {names[order[first]]}'
        findings.add('frame-order', where, problem)


def _listed(numbers: Sequence[int]) -> str:
    return ' and '.join(map(str, numbers))


def _named(category: Category) -> str:
    return f'category {category.id} ({category.name})'
