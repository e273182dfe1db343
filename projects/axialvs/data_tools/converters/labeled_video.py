"""Common form of what converters read: videos with tracks, and a report of what was skipped."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from axialvs.utils.errors import AxialVSError

RLE = dict[str, Any]
ProgressFn = Callable[[], object]
"""Called once per item that has been read, for a progress bar."""

_EXAMPLES = 3


class ConversionError(AxialVSError):
    """The source cannot be converted; the message names file, item, value and remedy."""


@dataclass(frozen=True, slots=True)
class Track:
    """One object through a video of L frames.

    Attributes:
        name: its name in the source.
        category: its class.
        masks: L entries: COCO RLE, or None where the object is absent.
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
        width: of all frames, in pixels.
        height: of all frames, in pixels.
        file_names: L names of images, relative to the folder of images.
        tracks: its objects.
    """

    name: str
    width: int
    height: int
    file_names: tuple[str, ...]
    tracks: tuple[Track, ...]


@dataclass
class SkipReport:
    """Counts of what a conversion skipped or replaced, by reason, with examples.

    Attributes:
        counts: by reason.
        examples: the first ones, by reason.
        doubts: videos by what may be wrong with them.
    """

    counts: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    doubts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reason: str, example: str, number: int = 1) -> None:
        """Count `number` more items of a reason, which is a plural such as 'empty frames'."""
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
    """Return the video with some of its frames, chosen as from a Python list.

    Raises:
        ConversionError: if no frame is left.
    """
    file_names = video.file_names[frames]
    if not file_names:
        raise ConversionError(
            f'video {video.name}: --frames selects none of its {len(video.file_names)} frames'
        )
    tracks = tuple(replace(track, masks=track.masks[frames]) for track in video.tracks)
    return replace(video, file_names=file_names, tracks=tracks)


def choose_names(names: Sequence[str], wanted: Sequence[str] | None, source: str) -> list[str]:
    """Return the wanted videos' names, in the order of the source.

    Args:
        names: of all videos.
        wanted: names, or None for all.
        source: what holds the videos, for messages.

    Raises:
        ConversionError: if a wanted name is unknown, or there are no videos.
    """
    unknown = sorted(set(wanted or ()) - set(names))
    if unknown:
        known = ', '.join(names) or 'none at all'
        raise ConversionError(f'{source}: has no video {unknown[0]!r}; it has {known}')
    if not names:
        raise ConversionError(f'{source}: has no videos')
    return [name for name in names if wanted is None or name in wanted]
