"""Read folders of frames and of mask images, as in DAVIS and YouTube-VOS."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from axialvs.data_tools.converters.class_mapping import ClassMapping
from axialvs.data_tools.converters.labeled_video import (
    RLE,
    ConversionError,
    LabeledVideo,
    ProgressFn,
    SkipReport,
    Track,
    choose_names,
)
from axialvs.data_tools.converters.mask_images import MaskReader, split_objects
from axialvs.datasets.image_files import common_size, list_folders, list_images
from axialvs.utils.files import IMAGE_SUFFIXES

Unlabeled = Literal['error', 'drop', 'empty']
_LARGEST_GRAY = 65535
_LOSSY_SUFFIXES = ('.jpg', '.jpeg', '.webp')

IDENTITY_HINT = 'An object must have the same value in all masks of its video.'


@dataclass(frozen=True, slots=True)
class FolderVideo:
    """Frames of a video and their masks, or None for frames without a mask."""

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path | None, ...]


def find_videos(
    images: Path,
    masks: Path,
    names: Sequence[str] | None,
    unlabeled: Unlabeled,
    binary: bool,
    skipped: SkipReport,
) -> list[FolderVideo]:
    """Pair frames with masks by name, without reading images.

    Args:
        images: folder with one folder of frames per video.
        masks: folder with one folder of masks per video; `00012.png` belongs to `00012.jpg`.
        names: names of the videos to convert, or None for all.
        unlabeled: whether frames without a mask are an error, skipped, or without objects.
        binary: whether masks are black and white, which allows lossy formats.
        skipped: collects skipped items.

    Raises:
        FileNotFoundError: if a folder, or the frame of a mask, is missing.
        ConversionError: if a frame has no mask, or files of a folder are ambiguous.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: no such folder')
    videos, labeled = list_folders(images), list_folders(masks)
    if not videos and list_images(images):
        raise ConversionError(
            f'{images}: contains images; use the parent folder, with one folder per video'
        )
    for name in labeled:
        if name not in videos:
            raise FileNotFoundError(
                f'{images / name}: no such folder, but {masks / name} has masks for it'
            )
    found = []
    for name in choose_names(videos, names, str(images)):
        if name in labeled:
            found.append(_pair(name, images / name, masks / name, unlabeled, binary, skipped))
        elif names is not None:
            raise FileNotFoundError(f'{masks / name}: no such folder; video {name} has no masks')
        else:
            skipped.add('videos without a folder of masks', name)
    return found


def _pair(
    name: str,
    images: Path,
    masks: Path,
    unlabeled: Unlabeled,
    binary: bool,
    skipped: SkipReport,
) -> FolderVideo:
    frames = _frames(images)
    by_stem = _by_stem(_masks(masks, binary))
    stems = _by_stem(frames)
    for stem, mask in by_stem.items():
        if stem not in stems:
            raise FileNotFoundError(f'{mask}: no frame {stem} in {images}')
    pairs = [(frame, by_stem.get(frame.stem)) for frame in frames]
    bare = [frame.name for frame, mask in pairs if mask is None]
    if bare and unlabeled == 'error':
        raise ConversionError(
            f'{masks}: {len(bare)} of {len(frames)} frames have no mask, the first is {bare[0]}; '
            'use --unlabeled drop to skip them, or --unlabeled empty if they contain no '
            'object'
        )
    if bare and unlabeled == 'drop':
        skipped.add('frames without a mask', f'{name}/{bare[0]}', len(bare))
        pairs = [(frame, mask) for frame, mask in pairs if mask is not None]
        if not pairs:
            raise ConversionError(f'{masks}: video {name} has no masks')
    return FolderVideo(name, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def _frames(folder: Path) -> list[Path]:
    frames = list_images(folder)
    if not frames:
        raise ConversionError(f'{folder}: contains no images')
    kinds = Counter(frame.suffix.lower().replace('jpeg', 'jpg') for frame in frames)
    if len(kinds) > 1:
        listed = ' and '.join(f'{number} {suffix}' for suffix, number in kinds.items())
        raise ConversionError(
            f'{folder}: contains {listed} images; use one format for frames, and a separate folder '
            'for masks'
        )
    return frames


def _masks(folder: Path, binary: bool) -> list[Path]:
    found = list_images(folder)
    lossy = [path for path in found if path.suffix.lower() in _LOSSY_SUFFIXES]
    if lossy and not binary:
        raise ConversionError(
            f'{lossy[0]}: {lossy[0].suffix} compression changes the values that identify objects; '
            'export masks as PNG, or set --binary if they are black and white'
        )
    return [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES]


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise ConversionError(
                f'{path}: {other.name} has the same name {path.stem}; remove one of them'
            )
    return found


def read_all(
    videos: Sequence[FolderVideo],
    classes: ClassMapping,
    ignored: Collection[int],
    make_reader: Callable[[], MaskReader],
    skipped: SkipReport,
    on_frame: ProgressFn,
) -> Iterator[LabeledVideo]:
    """Read the masks of all videos.

    Args:
        videos: videos from `find_videos`.
        classes: class mapping of the objects.
        ignored: object ids to skip, such as 255 for "do not care".
        make_reader: factory of the mask reader of a video.
        skipped: collects skipped items.
        on_frame: callback for each frame.

    Raises:
        ConversionError: if an image is unreadable, sizes differ, or an object has no class.
    """
    for video in videos:
        size = common_size(video.images, video.name)
        reader = make_reader()
        tracks: dict[int, list[RLE | None]] = {}
        for index, path in enumerate(video.masks):
            if path is not None:
                for identifier, rle in _objects(reader, path, size).items():
                    tracks.setdefault(identifier, [None] * len(video.images))[index] = rle
            on_frame()
        reader.check_edges()
        names = reader.canonical_ids()
        tracks = {names.get(identifier, identifier): masks for identifier, masks in tracks.items()}
        for identifier, doubt in reader.doubts().items():
            if (value := names.get(identifier, identifier)) in tracks.keys() - set(ignored):
                shown = 255 if reader.binary else value
                shown = shown if shown <= _LARGEST_GRAY else f'"#{shown:06x}"'
                skipped.doubts[f'value {shown} {doubt} {shown}'].append(video.name)
        for identifier in sorted(tracks.keys() & set(ignored)):
            number = sum(mask is not None for mask in tracks.pop(identifier))
            skipped.add('masks of ignored ids', f'{video.name}: {identifier}', number)
        yield LabeledVideo(
            video.name,
            *size,
            tuple(f'{video.name}/{image.name}' for image in video.images),
            tuple(
                Track(str(i), classes.class_of(video.name, i), tuple(tracks[i]))
                for i in sorted(tracks)
            ),
        )


def _objects(reader: MaskReader, path: Path, size: tuple[int, int]) -> dict[int, RLE]:
    ids = reader.read(path)
    if ids.shape[::-1] != size:
        raise ConversionError(
            f'{path}: has {ids.shape[1]}x{ids.shape[0]} pixels, but its frame has '
            f'{size[0]}x{size[1]}; resize masks to the frames without smoothing (nearest '
            'neighbor)'
        )
    return split_objects(ids)
