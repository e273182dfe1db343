"""What the converters' commands share: options, the order of classes, the file and its summary."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from axialvs.data_tools.converters.labelled_video import (
    ConversionError,
    LabelledVideo,
    LeftOut,
    take_frames,
)
from axialvs.data_tools.converters.youtube_vis_file import Written, write_youtube_vis
from axialvs.datasets.class_names import normalise_name, resolve_class_list


def frames_argument(text: str) -> slice:
    """START:STOP:STEP as for a Python list: ':-10' is all but the last ten."""
    parts = text.split(':')
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
        if not 2 <= len(numbers) <= 3 or (len(numbers) == 3 and (numbers[2] or 1) < 1):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not START:STOP or START:STOP:STEP; write :-10 for all but the last ten '
            'frames, -10: for the last ten, ::2 for every other'
        ) from None
    return slice(*numbers)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that all converters have."""
    parser.add_argument('--out', type=Path, required=True, metavar='OUT.json', help='file to write')
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it is there')
    parser.add_argument(
        '--videos', nargs='+', metavar='NAME', help='take only these videos (default: all)'
    )
    parser.add_argument(
        '--frames',
        type=frames_argument,
        metavar='START:STOP[:STEP]',
        help='take only these frames of each video, counted as in a Python list; a value that '
        'begins with a minus is written --frames=-10:',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='all classes in the order of their labels; objects of any other class are an error '
        "(default: the source's classes in its order)",
    )
    parser.add_argument(
        '--drop-other-classes',
        action='store_true',
        help='leave out, and count, objects whose class is not among --classes',
    )
    parser.add_argument(
        '--one-class', metavar='NAME', help='give all objects this class, whatever the source says'
    )


def check_target(path: Path, overwrite: bool) -> None:
    """Says before the work begins that the file is there already.

    Raises:
        FileExistsError: It is, and is not to be replaced.
    """
    if path.is_dir():
        raise ConversionError(f'--out {path}: is a folder; give the name of a .json file in it')
    if path.exists() and not overwrite:
        raise FileExistsError(f'{path}: is there already; give --overwrite or another --out')


def convert(
    args: argparse.Namespace,
    videos: Iterable[LabelledVideo],
    source_classes: Sequence[str],
    left_out: LeftOut,
    source: str,
) -> None:
    """Writes the videos with the options applied and prints what was written and left out.

    Args:
        args: The options of `add_options`.
        videos: All that were read.
        source_classes: The source's classes in its order.
        left_out: What reading has left out.
        source: What the videos come from, in words.

    Raises:
        ConversionError: An object's class is not among `--classes`, or no frame is chosen.
    """
    classes, names = _classes(args, source_classes)
    chosen = _choose(videos, args, names, left_out, source)
    written = write_youtube_vis(args.out, chosen, classes, left_out, source)
    print('\n'.join(summary(args.out, written, left_out)))


def summary(path: Path, written: Written, left_out: LeftOut) -> list[str]:
    """Lines for the user: what is in the file, and what is not."""
    lines = [f'{path}: {written.videos} videos, {written.frames} frames']
    width = max(map(len, written.objects))
    lines += [
        f'  {name:{width}}  {number:5d} objects {written.masks[name]:7d} masks'
        for name, number in written.objects.items()
    ]
    lines.append('left out or replaced: ' + ('; '.join(left_out.lines()) or 'nothing'))
    return lines


def _classes(
    args: argparse.Namespace, source_classes: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The classes to write, and by what name each is found, in the form names are compared in."""
    if args.one_class is not None:
        if args.classes:
            raise ConversionError('--one-class and --classes: give one of the two')
        classes = resolve_class_list((args.one_class,))
        return classes, {normalise_name(name): classes[0] for name in source_classes}
    if args.drop_other_classes and not args.classes:
        raise ConversionError('--drop-other-classes needs --classes, the classes that stay')
    classes = resolve_class_list(tuple(args.classes or source_classes))
    return classes, {normalise_name(name): name for name in classes}


def _choose(
    videos: Iterable[LabelledVideo],
    args: argparse.Namespace,
    names: dict[str, str],
    left_out: LeftOut,
    source: str,
) -> Iterator[LabelledVideo]:
    for video in videos:
        tracks = []
        for track in video.tracks:
            name = names.get(normalise_name(track.category))
            if name is not None:
                tracks.append(replace(track, category=name))
            elif args.drop_other_classes:
                left_out.add(
                    'objects of other classes', f'{video.name}/{track.name}: {track.category}'
                )
            else:
                raise ConversionError(
                    f'{source}: object {track.name} of video {video.name} is of class '
                    f'{track.category!r}, which is not among --classes {" ".join(args.classes)}; '
                    'add it, or give --drop-other-classes'
                )
        kept = replace(video, tracks=tuple(tracks))
        yield kept if args.frames is None else take_frames(kept, args.frames)
