"""Common parts of the converter commands: options, class order, output file and summary."""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from axialvs.data_tools.converters.labeled_video import (
    ConversionError,
    LabeledVideo,
    SkipReport,
    Track,
    slice_frames,
)
from axialvs.datasets.class_names import normalize_name, resolve_class_list
from axialvs.utils.files import write_atomically
from axialvs.utils.rle import measure


def frames_argument(text: str) -> slice:
    """Parse START:STOP:STEP as a Python slice, such as ':-10' for all but the last ten."""
    parts = text.split(':')
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
        if not 2 <= len(numbers) <= 3 or any(x is not None and x < 1 for x in numbers[2:]):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not START:STOP or START:STOP:STEP; use :-10 for all but the last ten '
            'frames, -10: for the last ten, ::2 for every other frame'
        ) from None
    return slice(*numbers)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the common options of all converters."""
    parser.add_argument('--out', type=Path, required=True, metavar='OUT.json', help='file to write')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    parser.add_argument(
        '--videos', nargs='+', metavar='NAME', help='only these videos (default: all)'
    )
    parser.add_argument(
        '--frames',
        type=frames_argument,
        metavar='START:STOP[:STEP]',
        help='only these frames of each video, as a Python slice; write values that start with a '
        'minus as --frames=-10:',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='all classes in label order; objects of other classes are an error (default: the '
        'classes of the source, in its order)',
    )
    parser.add_argument(
        '--drop-other-classes',
        action='store_true',
        help='skip objects whose class is not in --classes, and report their number',
    )
    parser.add_argument('--one-class', metavar='NAME', help='assign this class to all objects')


def check_target(path: Path, overwrite: bool) -> None:
    """Check before the conversion that the output file can be written.

    Raises:
        ConversionError: if it is a folder.
        FileExistsError: if it exists and `overwrite` is False.
    """
    if path.is_dir():
        raise ConversionError(f'--out {path}: is a folder; use the path of a .json file')
    if path.exists() and not overwrite:
        raise FileExistsError(f'{path}: already exists; set --overwrite or a different --out')


def convert(
    args: argparse.Namespace,
    videos: Iterable[LabeledVideo],
    source_classes: Sequence[str],
    skipped: SkipReport,
    source: str,
    identity_hint: str,
) -> None:
    """Apply the options, write the videos and print a summary.

    Args:
        args: the options of `add_options`.
        videos: all videos of the source.
        source_classes: classes of the source in its order, possibly with duplicates.
        skipped: items skipped on reading.
        source: file or folder of the videos, for error messages.
        identity_hint: advice if most objects are in a single frame.

    Raises:
        ConversionError: if the class of an object is not in `--classes`, or no frame is selected.
    """
    unique = {normalize_name(name): name for name in reversed(source_classes)}
    classes, names = _classes(args, list(unique.values())[::-1])
    chosen = _choose(videos, args, names, skipped, source)
    content = write_youtube_vis(args.out, chosen, classes, skipped, source)
    _print_summary(args.out, content)
    print(f'skipped or replaced: {skipped}')
    for doubt, names in skipped.doubts.items():
        print(f'WARNING: in {len(names)} of {len(content["videos"])} videos ({names[0]}) {doubt}')
    longer = [one for one in content['annotations'] if one['length'] > 1]
    single = sum(_num_masks(one) == 1 for one in longer)
    if single > len(longer) / 2:
        print(
            f'WARNING: {single} of {len(longer)} objects are in a single frame of their video and '
            f'cannot be tracked. {identity_hint}'
        )


def _classes(
    args: argparse.Namespace, source_classes: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the classes to write, and the class of each normalized name."""
    if args.one_class is not None:
        if args.classes:
            raise ConversionError('--one-class and --classes: set only one of them')
        classes = resolve_class_list((args.one_class,))
        return classes, {normalize_name(name): classes[0] for name in source_classes}
    if args.drop_other_classes and not args.classes:
        raise ConversionError('--drop-other-classes: requires --classes, the classes to keep')
    classes = resolve_class_list(tuple(args.classes or source_classes))
    return classes, {normalize_name(name): name for name in classes}


def _choose(
    videos: Iterable[LabeledVideo],
    args: argparse.Namespace,
    names: dict[str, str],
    skipped: SkipReport,
    source: str,
) -> Iterator[LabeledVideo]:
    for video in videos:
        tracks = []
        for track in video.tracks:
            name = names.get(normalize_name(track.category))
            if name is not None:
                tracks.append(replace(track, category=name))
            elif args.drop_other_classes:
                example = f'{video.name}/{track.name}: {track.category}'
                skipped.add('objects of other classes', example)
            else:
                raise ConversionError(
                    f'{source}: object {track.name} of video {video.name} has class '
                    f'{track.category!r}, which is not in --classes {" ".join(args.classes)}; '
                    'add it, or set --drop-other-classes'
                )
        kept = replace(video, tracks=tuple(tracks))
        yield kept if args.frames is None else slice_frames(kept, args.frames)


def write_youtube_vis(
    path: Path,
    videos: Iterable[LabeledVideo],
    classes: Sequence[str],
    skipped: SkipReport,
    source: str,
) -> dict[str, Any]:
    """Write an annotation file in the official YouTube-VIS layout, with ids from 1.

    Objects without pixels are skipped and counted.

    Args:
        path: the output file, written atomically.
        videos: the videos to write.
        classes: names of all classes in label order. Classes without objects are kept, because
            files for training and testing need the same classes.
        skipped: collects skipped items.
        source: source of the conversion, for the `info` of the file.

    Returns:
        The content of the file.

    Raises:
        ConversionError: if there are no objects, or two videos have the same name.
        OSError: if the file cannot be written.
    """
    category_ids = {name: number for number, name in enumerate(classes, start=1)}
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: set[str] = set()
    for video in videos:
        if video.name in names:
            raise ConversionError(f'two videos have the name {video.name!r}; rename one of them')
        names.add(video.name)
        size = {'width': video.width, 'height': video.height, 'length': len(video.file_names)}
        files = list(video.file_names)
        entries.append({'id': len(entries) + 1, 'name': video.name, 'file_names': files, **size})
        for track in video.tracks:
            fields = _mask_fields(track, video, skipped)
            if not any(fields['areas']):
                skipped.add('objects without pixels', f'{video.name}/{track.name}')
                continue
            ids = {
                'id': len(annotations) + 1,
                'video_id': len(entries),
                'category_id': category_ids[track.category],
                'iscrowd': int(track.iscrowd),
                'track': track.name,
            }
            annotations.append(ids | fields | size)
    if not annotations:
        raise ConversionError(f'{source}: no objects in the {len(entries)} selected videos')
    content = {
        'info': {'description': f'converted from {source}'},
        'videos': entries,
        'categories': [{'id': number, 'name': name} for name, number in category_ids.items()],
        'annotations': annotations,
    }
    write_atomically(path, json.dumps(content).encode())
    return content


def _print_summary(path: Path, content: dict[str, Any]) -> None:
    """Print the numbers of videos and frames, and the objects and masks of each class."""
    videos, categories = content['videos'], content['categories']
    print(f'{path}: {len(videos)} videos, {sum(video["length"] for video in videos)} frames')
    width = max(len(category['name']) for category in categories)
    masks: dict[int, list[int]] = {category['id']: [] for category in categories}
    for annotation in content['annotations']:
        masks[annotation['category_id']].append(_num_masks(annotation))
    for category in categories:
        numbers = masks[category['id']]
        print(f'  {category["name"]:{width}}  {len(numbers):5d} objects {sum(numbers):7d} masks')


def _num_masks(annotation: dict[str, Any]) -> int:
    return sum(area is not None for area in annotation['areas'])


def _mask_fields(track: Track, video: LabeledVideo, skipped: SkipReport) -> dict[str, list]:
    """Compute segmentations, areas and boxes, with None for masks without pixels."""
    fields: dict[str, list] = {'segmentations': [], 'areas': [], 'bboxes': []}
    for frame, rle in enumerate(track.masks):
        area, box = (0, None) if rle is None else measure(rle)
        if rle is not None and not area:
            example = f'{video.name}/{track.name}, frame {frame}'
            skipped.add('masks without pixels (too thin, or outside the frame)', example)
        fields['segmentations'].append(rle if area else None)
        fields['areas'].append(area or None)
        fields['bboxes'].append(box if area else None)
    return fields
