"""AP of short and long videos, as in YouTube-VIS 2022.

Its validation set is that of 2021 plus 71 long videos, in one folder and one file. The evaluation
server scores a single results file with two ground-truth files that share ids, and ranks by the
mean of both APs, so the few long videos have the same weight as the short ones.
"""

from collections.abc import Mapping

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations
from axialvs.evaluation.youtube_vis import NO_GT

SHORT, LONG = 'short', 'long'


def join_parts(short: VideoAnnotations, long: VideoAnnotations) -> VideoAnnotations:
    """Join the ground truths of short and long videos.

    Raises:
        AnnotationError: if one has no annotations, a video is in both, or their categories differ.
    """
    for part in (short, long):
        part.require_instances()
    shared = {video.id for video in short.videos} & {video.id for video in long.videos}
    if shared:
        raise AnnotationError(
            f'{long.path}: video {min(shared)} is also in {short.path}; remove it from one of them.'
        )
    check_same_categories(long, short)
    return VideoAnnotations(
        f'{short.path} and {long.path}',
        short.categories,
        short.videos + long.videos,
        short.instances + long.instances,
    )


def check_same_categories(one: VideoAnnotations, other: VideoAnnotations) -> None:
    """Check that two files have the same category ids and names.

    Raises:
        AnnotationError: if they differ.
    """
    mine, theirs = ({(c.id, c.name) for c in file.categories} for file in (one, other))
    if mine != theirs:
        identifier, name = min(mine ^ theirs)
        raise AnnotationError(
            f"{one.path}: field 'categories': {identifier} ({name}) is only in one of this file "
            f'and {other.path}; both files must belong to the same dataset.'
        )


def short_long_metrics(short: Mapping[str, float], long: Mapping[str, float]) -> dict[str, float]:
    """Return `AP_all`, the mean of both APs, and all metrics of both, such as `AR10_long`."""
    both = short['AP'], long['AP']
    return {
        'AP_all': NO_GT if NO_GT in both else sum(both) / 2,
        **{f'{name}_{SHORT}': value for name, value in short.items()},
        **{f'{name}_{LONG}': value for name, value in long.items()},
    }
