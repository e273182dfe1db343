"""Common data structures of the converters: videos with tracks, and a report of skipped items."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from axialvs.utils.errors import AxialVSError

RLE = dict[str, Any]
ProgressFn = Callable[[], object]
"""Progress callback, called once per item read."""

_EXAMPLES = 3


class ConversionError(AxialVSError):
    """Conversion error; the message names file, item, value and remedy."""


@dataclass(frozen=True, slots=True)
class Track:
    """An object in a video of L frames.

    Attributes:
        name: its name in the source.
        category: its class.
        masks: L entries: COCO RLE, or None if the object is absent.
        iscrowd: whether it is a group of objects without masks of their own.
    """

    name: str
    category: str
    masks: tuple[RLE | None, ...]
    iscrowd: bool = False


@dataclass(frozen=True, slots=True)
class LabeledVideo:
    """A video of L frames and its objects.

    Attributes:
        name: its name in the source.
        width: width of the frames, in pixels.
        height: height of the frames, in pixels.
        file_names: L file names, relative to the image folder.
        tracks: its objects.
    """

    name: str
    width: int
    height: int
    file_names: tuple[str, ...]
    tracks: tuple[Track, ...]


@dataclass
class SkipReport:
    """Counts of skipped or replaced items by reason, with examples.

    Attributes:
        counts: number of items by reason.
        examples: first examples by reason.
        doubts: names of videos by possible problem.
    """

    counts: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    doubts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reason: str, example: str, number: int = 1) -> None:
        """Add `number` items to a reason, a plural noun phrase such as 'empty frames'."""
        self.counts[reason] += number
        if len(self.examples[reason]) < _EXAMPLES:
            self.examples[reason].append(example)

    def __str__(self) -> str:
        reasons = []
        for reason, number in self.counts.items():
            examples = ', '.join(self.examples[reason])
            more = ', ...' if number > len(self.examples[reason]) else ''
            reasons.append(f'{number} {reason} ({examples}{more})')
        return '; '.join(reasons) or 'nothing'


def slice_frames(video: LabeledVideo, frames: slice) -> LabeledVideo:
    """Slice the frames of a video, like a Python list.

    Raises:
        ConversionError: if no frames remain.
    """
    file_names = video.file_names[frames]
    if not file_names:
        raise ConversionError(
            f'video {video.name}: --frames selects none of its {len(video.file_names)} frames'
        )
    tracks = tuple(replace(track, masks=track.masks[frames]) for track in video.tracks)
    return replace(video, file_names=file_names, tracks=tracks)


def choose_names(names: Sequence[str], wanted: Sequence[str] | None, source: str) -> list[str]:
    """Return the names of the wanted videos, in source order.

    Args:
        names: names of all videos.
        wanted: names of the wanted videos, or None for all.
        source: file or folder of the videos, for error messages.

    Raises:
        ConversionError: if a wanted name is unknown, or there are no videos.
    """
    unknown = sorted(set(wanted or ()) - set(names))
    if unknown:
        known = ', '.join(names) or 'none'
        raise ConversionError(f'{source}: has no video {unknown[0]!r}; it has {known}')
    if not names:
        raise ConversionError(f'{source}: has no videos')
    return [name for name in names if wanted is None or name in wanted]
