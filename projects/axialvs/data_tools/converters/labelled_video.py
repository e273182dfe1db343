"""What every converter makes of its source: videos with tracks, and a list of what was left out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from axialvs.utils.errors import AxialVSError

RLE = dict[str, Any]
OnFrame = Callable[[], None]
"""Called once a frame that has been read, for a progress bar."""

_EXAMPLES = 3


class ConversionError(AxialVSError):
    """The source cannot be converted; the message names file, item, value and remedy."""


@dataclass(frozen=True, slots=True)
class Track:
    """One object through a video of L frames.

    Attributes:
        name: What the source calls it.
        category: Its class.
        masks: L entries: COCO RLE as pycocotools makes it, or None where the object is absent.
        iscrowd: Whether it stands for a group that is not taken apart.
    """

    name: str
    category: str
    masks: tuple[RLE | None, ...]
    iscrowd: bool = False


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A video of L frames and its objects.

    Attributes:
        name: What the source calls it.
        width: Of all frames, in pixels.
        height: Of all frames, in pixels.
        file_names: L names of images, relative to the folder of images.
        tracks: Its objects.
    """

    name: str
    width: int
    height: int
    file_names: tuple[str, ...]
    tracks: tuple[Track, ...]


@dataclass
class LeftOut:
    """Counts what a conversion left out or replaced, by reason, with some examples of each."""

    counts: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reason: str, example: str, number: int = 1) -> None:
        """Counts `number` more items of a reason, which is a plural such as 'empty frames'."""
        self.counts[reason] += number
        if len(self.examples[reason]) < _EXAMPLES:
            self.examples[reason].append(example)

    def lines(self) -> list[str]:
        """One line a reason."""
        lines = []
        for reason, number in self.counts.items():
            shown = self.examples[reason]
            more = ', ...' if number > len(shown) else ''
            lines.append(f'{number} {reason} ({", ".join(shown)}{more})')
        return lines


def take_frames(video: LabelledVideo, frames: slice) -> LabelledVideo:
    """The video with some of its frames, chosen as from a Python list.

    Raises:
        ConversionError: No frame is left.
    """
    file_names = video.file_names[frames]
    if not file_names:
        raise ConversionError(
            f'video {video.name}: of its {len(video.file_names)} frames none is chosen; correct '
            '--frames'
        )
    tracks = tuple(replace(track, masks=track.masks[frames]) for track in video.tracks)
    return replace(video, file_names=file_names, tracks=tracks)


def choose_names(names: Sequence[str], wanted: Sequence[str] | None, where: str) -> list[str]:
    """Those of the videos' names that are wanted, in the order in which they are there.

    Args:
        names: Of all videos.
        wanted: Names, or None for all.
        where: What holds the videos, for messages.

    Raises:
        ConversionError: There is no video of a wanted name, or there is none at all.
    """
    unknown = sorted(set(wanted or ()) - set(names))
    if unknown:
        raise ConversionError(
            f'{where}: has no video {unknown[0]!r}; it has {", ".join(names) or "none at all"}'
        )
    if not names:
        raise ConversionError(f'{where}: has no videos')
    return [name for name in names if wanted is None or name in wanted]
