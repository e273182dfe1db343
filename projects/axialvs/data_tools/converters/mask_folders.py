"""Folders of frames and folders of masks, as DAVIS and YouTube-VOS have them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from axialvs.data_tools.converters.image_files import common_size, list_folders, list_images
from axialvs.data_tools.converters.labelled_video import (
    RLE,
    ConversionError,
    LabelledVideo,
    LeftOut,
    OnFrame,
    Track,
    choose_names,
)
from axialvs.data_tools.converters.mask_images import read_object_ids, split_objects
from axialvs.data_tools.converters.object_classes import ObjectClasses

Unlabelled = Literal['error', 'drop', 'empty']
_MASK_SUFFIXES = ('.png', '.bmp', '.tif', '.tiff', '.pgm')


@dataclass(frozen=True, slots=True)
class FolderVideo:
    """A video's frames, and the mask of each, or None where there is none."""

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path | None, ...]


def find_videos(
    images: Path,
    masks: Path,
    names: Sequence[str] | None,
    unlabelled: Unlabelled,
    left_out: LeftOut,
) -> list[FolderVideo]:
    """Pairs frames with masks by their names; nothing is read yet.

    Args:
        images: A folder with a folder of frames for each video.
        masks: A folder with a folder of masks for each video; `00012.png` belongs to `00012.jpg`.
        names: The videos to take, or None for all.
        unlabelled: What becomes of a frame without a mask: an error, it is left out, or it stays
            and shows no object.
        left_out: Is added to.

    Raises:
        FileNotFoundError: A folder is missing.
        ConversionError: A mask has no frame, or a frame no mask.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: no such folder')
    videos, labelled = list_folders(images), list_folders(masks)
    if not videos and list_images(images):
        raise ConversionError(
            f'{images}: holds images; give the folder above it, which has a folder for each video'
        )
    for name in labelled:
        if name not in videos:
            raise FileNotFoundError(
                f'{images / name}: no such folder, but {masks / name} has masks for it'
            )
    wanted = choose_names(videos, names, str(images))
    found = []
    for name in wanted:
        if name in labelled:
            found.append(_pair(name, images / name, masks / name, unlabelled, left_out))
        elif names is not None:
            raise FileNotFoundError(f'{masks / name}: no such folder; video {name} has no masks')
        else:
            left_out.add('videos without a folder of masks', name)
    return found


def _pair(
    name: str, images: Path, masks: Path, unlabelled: Unlabelled, left_out: LeftOut
) -> FolderVideo:
    frames = list_images(images)
    if not frames:
        raise ConversionError(f'{images}: holds no images')
    by_stem = _by_stem(list_images(masks, _MASK_SUFFIXES))
    stems = _by_stem(frames)
    for stem, mask in by_stem.items():
        if stem not in stems:
            raise FileNotFoundError(f'{mask}: there is no frame {stem} in {images}')
    pairs = [(frame, by_stem.get(frame.stem)) for frame in frames]
    bare = [frame.name for frame, mask in pairs if mask is None]
    if bare and unlabelled == 'error':
        raise ConversionError(
            f'{masks}: {len(bare)} of {len(frames)} frames have no mask, the first is {bare[0]}; '
            'give --unlabelled drop to leave such frames out, or --unlabelled empty if they show '
            'no object'
        )
    if bare and unlabelled == 'drop':
        left_out.add('frames without a mask', f'{name}/{bare[0]}', len(bare))
        pairs = [(frame, mask) for frame, mask in pairs if mask is not None]
        if not pairs:
            raise ConversionError(f'{masks}: no frame of video {name} has a mask')
    return FolderVideo(name, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise ConversionError(
                f'{path}: two images are called {path.stem}, the other is {other.name}; remove one '
                'of them'
            )
    return found


def read_video(
    video: FolderVideo,
    classes: ObjectClasses,
    ignored: Collection[int],
    binary: bool,
    left_out: LeftOut,
    on_frame: OnFrame,
) -> LabelledVideo:
    """Reads the masks of a video.

    Args:
        video: From `find_videos`.
        classes: The objects' classes.
        ignored: Object ids that are left out, as 255 where it stands for "do not care".
        binary: Masks are one object on black; see `read_object_ids`.
        left_out: Is added to.
        on_frame: Is called once a frame.

    Raises:
        ConversionError: An image cannot be read or has another size, or an object has no class.
    """
    width, height = common_size(video.images, video.name)
    tracks: dict[int, list[RLE | None]] = defaultdict(lambda: [None] * len(video.images))
    for index, path in enumerate(video.masks):
        for identifier, rle in _objects(path, (width, height), binary).items():
            if identifier in ignored:
                left_out.add('masks of ignored ids', f'{video.name}/{path.name}: {identifier}')
            else:
                tracks[identifier][index] = rle
        on_frame()
    return LabelledVideo(
        video.name,
        width,
        height,
        tuple(f'{video.name}/{image.name}' for image in video.images),
        tuple(
            Track(str(i), classes.class_of(video.name, i), tuple(tracks[i])) for i in sorted(tracks)
        ),
    )


def _objects(path: Path | None, size: tuple[int, int], binary: bool) -> dict[int, RLE]:
    if path is None:
        return {}
    ids = read_object_ids(path, binary)
    if ids.shape[::-1] != size:
        raise ConversionError(
            f'{path}: has {ids.shape[1]}x{ids.shape[0]} pixels, but its frame has '
            f'{size[0]}x{size[1]}; bring masks to the size of the frames without smoothing '
            '(nearest neighbour)'
        )
    return split_objects(ids)


def read_all(
    videos: Sequence[FolderVideo],
    classes: ObjectClasses,
    ignored: Collection[int],
    binary: bool,
    left_out: LeftOut,
    on_frame: OnFrame,
) -> Iterator[LabelledVideo]:
    """Reads the videos one after the other; see `read_video`."""
    for video in videos:
        yield read_video(video, classes, ignored, binary, left_out, on_frame)
