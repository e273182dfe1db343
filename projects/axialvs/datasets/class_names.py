"""Official class lists, and the normal form in which class names are compared."""

from collections.abc import Mapping, Sequence

import ftfy

from axialvs.utils.errors import AxialVSError


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


YOUTUBE_VIS_2019 = _names(
    """person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck cat
    cow fish train horse turtle bear motorbike giraffe leopard fox deer owl surfboard airplane
    truck zebra tiger elephant snowboard boat shark mouse frog eagle earless_seal
    tennis_racket"""
)
YOUTUBE_VIS_2021 = _names(
    """airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc
    fox frog giant_panda giraffe horse leopard lizard monkey motorbike mouse parrot person rabbit
    shark skateboard snake snowboard squirrel surfboard tennis_racket tiger train truck turtle
    whale zebra"""
)
# 'Vehical' is the dataset's own spelling.
OVIS = _names(
    """Person Bird Cat Dog Horse Sheep Cow Elephant Bear Zebra Giraffe Poultry Giant_panda Lizard
    Parrot Monkey Rabbit Tiger Fish Turtle Bicycle Motorcycle Airplane Boat Vehical"""
)
# The 2022 edition trains on the 2021 videos and keeps their classes.
CLASS_LISTS: Mapping[str, tuple[str, ...]] = {
    '2019': YOUTUBE_VIS_2019,
    '2021': YOUTUBE_VIS_2021,
    '2022': YOUTUBE_VIS_2021,
    'ovis': OVIS,
}


def resolve_class_list(classes: str | Sequence[str]) -> tuple[str, ...]:
    """Return the class names of an official list, or of a sequence of names.

    Args:
        classes: a key of `CLASS_LISTS`, or the names themselves.

    Raises:
        AxialVSError: if the list is unknown or empty, or a name is empty or used twice.
    """
    if not isinstance(classes, list | tuple):
        name = str(classes)  # on a command line, 2021 is a number
        if name not in CLASS_LISTS:
            raise AxialVSError(
                f'classes={classes!r}: no such class list. Known: {sorted(CLASS_LISTS)}. '
                'For your own classes give a tuple of names, or None to take them from the file.'
            )
        return CLASS_LISTS[name]
    names = tuple(classes)
    seen: dict[str, str] = {}
    for name in names:
        key = normalize_name(name) if is_text(name) else ''
        if not key:
            raise AxialVSError(f'classes: {name!r} is not a class name.')
        if key in seen:
            raise AxialVSError(f'classes: {seen[key]!r} and {name!r} are the same name.')
        seen[key] = name
    if not names:
        raise AxialVSError('classes: the list is empty.')
    return names


def is_text(value: object) -> bool:
    """Return whether a value is a non-blank string that can be encoded as UTF-8."""
    if not isinstance(value, str) or not value.strip() or '\0' in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, as "\ud800"
        return False
    return True


def repair_name(name: str) -> str:
    """Repair wrongly decoded text (`fianc\\u00c3\\u00a9` -> `fianc\\u00e9`) and trim blanks.

    Names without a visible character, such as a zero-width space, become empty.
    """
    words = ftfy.fix_text(name).split()
    return ' '.join(words) if any(map(str.isprintable, ''.join(words))) else ''


def normalize_name(name: str) -> str:
    """Normalize a class name for comparison: repaired, trimmed, case-folded."""
    return repair_name(name).casefold()
