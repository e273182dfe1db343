"""Check a dataset: read the whole annotation file, then check classes, videos, masks, images."""

import re
from collections import defaultdict
from collections.abc import Sequence

from axialvs.data_tools.checking.images import check_images
from axialvs.data_tools.checking.masks import check_masks, describe
from axialvs.data_tools.checking.panoptic import check_panoptic, is_panoptic
from axialvs.data_tools.checking.report import Report
from axialvs.data_tools.checking.rules import Findings
from axialvs.data_tools.checking.target import Target
from axialvs.datasets.annotations.coco import read_coco_annotations
from axialvs.datasets.annotations.schema import load_json
from axialvs.datasets.annotations.youtube_vis import Category, VideoAnnotations, read_annotations
from axialvs.datasets.class_names import resolve_class_list
from axialvs.datasets.classes import compare_classes, match_coco_classes, same_names

_MIN_AREA = 64.0  # pixels
_MAX_ASPECT = 16


def check_dataset(
    target: Target,
    open_images: bool = True,
    min_area: float = _MIN_AREA,
    workers: int = 2,
    show_progress: bool = True,
) -> Report:
    """Check an annotation file and its images.

    Args:
        target: the annotation file, its folders and the classes.
        open_images: whether to open images, or only check that the files exist.
        min_area: report instances whose largest mask has fewer pixels.
        workers: number of threads that open images.
        show_progress: show progress bars on stderr.

    Raises:
        FileNotFoundError: if the file does not exist.
        AxialVSError: if the file is not valid JSON, or the class list is invalid.
    """
    findings = Findings()
    content = load_json(target.ann_file)
    panoptic = is_panoptic(content)
    is_coco = isinstance(content, dict) and 'images' in content and 'videos' not in content
    del content
    if panoptic:
        annotations, areas = check_panoptic(target, findings, open_images, workers, show_progress)
    else:
        read = read_coco_annotations if is_coco else read_annotations
        annotations = read(target.ann_file, findings.add_error)
        areas = check_masks(annotations, min_area, findings)
    _check_names(annotations, findings)
    learned = _check_classes(annotations, target, findings)
    _check_use(annotations, learned, target.needs_annotations, findings)
    _check_frames(annotations, target.num_frames, findings)
    if target.images is not None and not panoptic:
        check_images(annotations, target.images, findings, open_images, workers, show_progress)
    layout = 'VIPSeg' if panoptic else 'COCO' if is_coco else 'YouTube-VIS'
    return Report(target, layout, annotations, findings, areas, open_images)


def _named(category: Category) -> str:
    return f'category {category.id} ({category.name})'


def _check_names(annotations: VideoAnnotations, findings: Findings) -> None:
    for category in annotations.categories:
        if category.source_name != category.name:
            problem = f'{category.source_name!r} is changed to {category.name!r}'
            findings.add('name-repaired', f'category {category.id}', problem)
    for first, second in same_names(annotations.categories):
        problem = f'{second.name!r} is also the name of category {first.id}'
        findings.add('duplicate-name', f'category {second.id}', problem, 'name')


def _check_classes(annotations: VideoAnnotations, target: Target, findings: Findings) -> set[int]:
    """Compare categories, classes and the model head; return the category ids to train on."""
    categories = annotations.categories
    own = {category.id for category in categories}
    classes = target.classes
    number = len(own if classes is None else resolve_class_list(classes))
    if target.num_classes not in (None, number):
        if number < target.num_classes:  # the remaining classes are never trained
            findings.severities['class-count'] = 'warning'
        problem = f'{number} classes in the data, {target.num_classes} in the model'
        findings.add('class-count', target.source, problem)
    if classes is None:
        return own
    if annotations.are_images:
        labels = match_coco_classes(categories, classes, annotations.path, target.synonyms)
        for name, category_id in zip(labels.classes, labels.category_ids, strict=True):
            if category_id is None:
                findings.add('class-without-stills', f'class {name!r}')
        for category in categories:
            if category.id not in labels.labels:
                findings.add('category-dropped', _named(category))
        return set(labels.labels)
    if target.allow_unlisted:
        for rule in ('class-without-category', 'category-without-class'):
            findings.severities[rule] = 'warning'
    absent, unlisted = compare_classes(resolve_class_list(classes), categories)
    for name in absent:
        findings.add('class-without-category', f'class {name!r}')
    for category in unlisted:
        findings.add('category-without-class', _named(category))
    return own - {category.id for category in unlisted}


def _check_use(
    annotations: VideoAnnotations, learned: set[int], needs_annotations: bool, findings: Findings
) -> None:
    """Report categories and videos without training targets, and single-frame tracks."""
    if annotations.instances is None:
        if needs_annotations:
            findings.severities['no-annotations'] = 'error'
        findings.add('no-annotations', '', "field 'annotations' is missing or null")
        return
    used = {instance.category_id for instance in annotations.instances}
    for category in annotations.categories:
        if category.id not in used:
            findings.add('category-unused', _named(category))
    targets = [i for i in annotations.instances if not i.iscrowd and i.category_id in learned]
    shown = {instance.video_id for instance in targets if instance.visible.any()}
    for video in annotations.videos:
        if video.id not in shown:
            findings.add('video-empty', describe(annotations, video.id))
    if not shown:
        findings.add('nothing-to-learn', '')
    lengths = {video.id: video.length for video in annotations.videos}
    longer = [i for i in targets if lengths[i.video_id] > 1 and i.visible.any()]
    single = sum(int(instance.visible.sum()) == 1 for instance in longer)
    if single > len(longer) / 2:
        findings.add('identity-lost', '', f'{single} of {len(longer)} objects')


def _check_frames(
    annotations: VideoAnnotations, num_frames: int | None, findings: Findings
) -> None:
    """Report short videos, and duplicate or unordered frames."""
    owners: dict[str, str] = {}
    for video in annotations.videos:
        where = describe(annotations, video.id)
        if num_frames and not annotations.are_images and video.length < num_frames:
            problem = f'{video.length} frames, but clips have {num_frames}'
            findings.add('video-short', where, problem)
        if max(video.width, video.height) > _MAX_ASPECT * min(video.width, video.height):
            findings.add('frame-narrow', where, f'{video.width}x{video.height}')
        frames = defaultdict(list)
        for frame, name in enumerate(video.file_names):
            frames[name].append(frame)
        for name, places in frames.items():
            if len(places) > 1:
                twice = ' and '.join(map(str, places))
                findings.add('frame-twice', where, f'{name} is frame {twice}')
            other = owners.setdefault(name, where)
            if other != where:
                findings.add('frame-twice', where, f'{name} is also a frame of {other}')
        _check_order(where, list(frames), findings)


def _check_order(where: str, names: Sequence[str], findings: Findings) -> None:
    """Check that frames are sorted by the last numbers in their names, if all have one."""
    numbers = [re.findall(r'[0-9]+', name.rpartition('/')[2])[-1:] for name in names]
    if [] in numbers:
        return
    order = sorted(
        range(len(names)), key=lambda frame: (len(n := numbers[frame][0].lstrip('0')), n)
    )
    first = next((frame for frame, other in enumerate(order) if frame != other), None)
    if first is not None:
        problem = f'frame {first} is {names[first]}, expected {names[order[first]]}'
        findings.add('frame-order', where, problem)
