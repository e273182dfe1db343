"""AP of short and of long videos, as YouTube-VIS 2022 reports it.

Its validation videos are those of 2021 and 71 long ones, in one folder and one file. The evaluation
server takes one file of results, scores it against two ground truths with the same ids, and ranks
by the mean of the two APs: long videos, of which there are few, count as much as short ones.
"""

from collections.abc import Mapping

from axialvs.datasets.annotations import AnnotationError, VideoAnnotations
from axialvs.evaluation.precision_recall import NOTHING_COUNTS

SHORT, LONG = 'short', 'long'


def join_parts(short: VideoAnnotations, long: VideoAnnotations) -> VideoAnnotations:
    """The ground truths of both kinds as one.

    Args:
        short: Of the short videos.
        long: Of the long ones.

    Raises:
        AnnotationError: One has no annotations, they share a video, or their categories differ.
    """
    for part in (short, long):
        if part.instances is None:
            raise AnnotationError(
                f"{part.path}: field 'annotations': is missing or null, so there is nothing to "
                'compare with.'
            )
    shared = {video.id for video in short.videos} & {video.id for video in long.videos}
    if shared:
        raise AnnotationError(
            f'{long.path}: video {min(shared)} is in {short.path} too; a video is short or long.'
        )
    check_same_categories(long, short)
    return VideoAnnotations(
        f'{short.path} and {long.path}',
        short.categories,
        short.videos + long.videos,
        short.instances + long.instances,
    )


def check_same_categories(one: VideoAnnotations, other: VideoAnnotations) -> None:
    """Raises an `AnnotationError` where two files number or name their categories differently."""
    mine, theirs = ({(c.id, c.name) for c in file.categories} for file in (one, other))
    if mine != theirs:
        identifier, name = min(mine ^ theirs)
        raise AnnotationError(
            f"{one.path}: field 'categories': {identifier} ({name}) is not both here and in "
            f'{other.path}; the files have to be of one data set.'
        )


def short_long_figures(short: Mapping[str, float], long: Mapping[str, float]) -> dict[str, float]:
    """AP_all, the mean of both APs, and all figures of each kind, as `AP_short` and `AR10_long`.

    Args:
        short: Figures of the short videos.
        long: Figures of the long ones.
    """
    both = short['AP'], long['AP']
    return {
        'AP_all': NOTHING_COUNTS if NOTHING_COUNTS in both else sum(both) / 2,
        **{f'{name}_{SHORT}': value for name, value in short.items()},
        **{f'{name}_{LONG}': value for name, value in long.items()},
    }
