"""Reads detected tracks in the official results layout and checks them against the ground truth.

Also read: a submission's zip, and the tracks of one video as `segment_video.py` writes them.
"""

import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axialvs.datasets.annotations.schema import shown
from axialvs.datasets.annotations.youtube_vis import Video, VideoAnnotations
from axialvs.datasets.class_names import normalise_name
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically


class ResultsError(AxialVSError):
    """Something is wrong in detected tracks; the message names file, entry, video and field."""


@dataclass(frozen=True, slots=True)
class TrackResult:
    """A detected track.

    Attributes:
        video_id: The video it moves in.
        category_id: The annotation file's category id.
        score: Any finite number; only the order matters.
        segmentations: One COCO RLE a frame of the video, or None where the track is absent.
        place: Where it stands, for messages.
    """

    video_id: int
    category_id: int
    score: float
    segmentations: Sequence[Mapping[str, Any] | None]
    place: str = ''


def read_results(
    path: str | os.PathLike[str], annotations: VideoAnnotations, video_id: int | None = None
) -> list[TrackResult]:
    """Reads a file of results.

    Args:
        path: JSON list of `{video_id, category_id, score, segmentations}`; a submission's zip with
            such a list; or the JSON of `segment_video.py`, an object with `tracks`.
        annotations: The ground truth that the results belong to.
        video_id: The video that `tracks` belong to; not needed where the ground truth has one.

    Raises:
        FileNotFoundError: There is no such file.
        ResultsError: Something in the file is wrong.
    """
    path = os.fspath(path)
    content = _load(path)
    if isinstance(content, dict) and 'tracks' in content:
        content = _entries_of_tracks(content, annotations, path, video_id)
    elif video_id is not None:
        raise ResultsError(
            f'{path}: entries of the official layout name their videos; a video id is for the '
            'tracks of segment_video.py only.'
        )
    if not isinstance(content, list):
        raise ResultsError(
            f'{path}: {shown(content)} is neither a list of results nor an object with "tracks".'
        )
    return check_results(content, annotations, path)


def check_results(
    entries: Iterable[Any], annotations: VideoAnnotations, source: str
) -> list[TrackResult]:
    """Checks entries of the official results layout; the runs of masks are checked when read.

    Args:
        entries: The entries.
        annotations: The ground truth that they belong to.
        source: File or other origin, for messages.

    Raises:
        ResultsError: An entry is wrong.
    """
    videos = {video.id: video for video in annotations.videos}
    categories = {category.id for category in annotations.categories}
    return [
        _check_entry(entry, f'{source}: entry {index}', videos, categories)
        for index, entry in enumerate(entries)
    ]


def only_video(annotations: VideoAnnotations, video_id: int) -> VideoAnnotations:
    """The ground truth of one video of a file."""
    return replace(
        annotations,
        videos=tuple(video for video in annotations.videos if video.id == video_id),
        instances=annotations.instances
        and tuple(x for x in annotations.instances if x.video_id == video_id),
    )


def _load(path: str) -> Any:
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such results file.')
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if RESULTS_NAME not in archive.namelist():
                    raise ResultsError(
                        f'{path}: the zip has no {RESULTS_NAME} at its top level, as the '
                        f'evaluation servers want it, but {shown(archive.namelist())}.'
                    )
                return json.loads(archive.read(RESULTS_NAME))
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        RecursionError,
        zipfile.BadZipFile,
    ) as error:
        raise ResultsError(f'{path}: not readable as JSON ({error}).') from error


def _entries_of_tracks(
    content: dict[str, Any], annotations: VideoAnnotations, path: str, video_id: int | None
) -> Any:
    """The tracks of one video with the video's id, as in the official layout."""
    if video_id is None:
        if len(annotations.videos) != 1:
            raise ResultsError(
                f'{path}: these are the tracks of one video and the ground truth '
                f'{annotations.path} has {len(annotations.videos)} videos. Say which one it is '
                'with --video-id of eval_vis.py, or give a ground truth of this video alone.'
            )
        video_id = annotations.videos[0].id
    elif video_id not in {video.id for video in annotations.videos}:
        raise ResultsError(f'{annotations.path}: has no video {video_id}.')
    names = {category.id: category.name for category in annotations.categories}
    categories = content.get('categories')
    for category in categories if isinstance(categories, list) else ():
        if not isinstance(category, dict) or not isinstance(category.get('name'), str):
            raise ResultsError(f"{path}: field 'categories': {shown(category)} has no name.")
        known = names.get(category.get('id'))
        if known is not None and normalise_name(known) != normalise_name(category['name']):
            raise ResultsError(
                f"{path}: field 'categories': id {category['id']} is {category['name']!r} here "
                f'and {known!r} in {annotations.path}. The tracks belong to other categories.'
            )
    tracks = content['tracks']
    if not isinstance(tracks, list):
        raise ResultsError(f"{path}: field 'tracks': {shown(tracks)} is not a list.")
    return [
        {**track, 'video_id': video_id} if isinstance(track, dict) else track for track in tracks
    ]


def _check_entry(
    entry: Any, place: str, videos: Mapping[int, Video], categories: set[int]
) -> TrackResult:
    if not isinstance(entry, dict):
        raise ResultsError(f'{place}: {shown(entry)} is not a JSON object.')
    for field in ('video_id', 'category_id', 'score', 'segmentations'):
        if field not in entry:
            raise ResultsError(f"{place}: field '{field}' is missing.")
    video_id, category_id, score = (entry[key] for key in ('video_id', 'category_id', 'score'))
    if type(video_id) is not int or video_id not in videos:
        raise _error(place, 'video_id', f'{shown(video_id)} is no video of the ground truth')
    place = f'{place}, video {video_id}'
    if type(category_id) is not int or category_id not in categories:
        raise _error(
            place, 'category_id', f'{shown(category_id)} is no category of the ground truth'
        )
    if type(score) not in (int, float) or not math.isfinite(score):
        raise _error(place, 'score', f'{shown(score)} is not a finite number')
    segmentations = entry['segmentations']
    _check_segmentations(segmentations, place, videos[video_id])
    return TrackResult(video_id, category_id, score, segmentations, place)


def _check_segmentations(segmentations: Any, place: str, video: Video) -> None:
    if not isinstance(segmentations, list):
        raise _error(place, 'segmentations', f'{shown(segmentations)} is not a list')
    if len(segmentations) != video.length:
        raise _error(
            place,
            'segmentations',
            f'{len(segmentations)} entries where the video has {video.length} frames; a frame '
            'without the object is null',
        )
    size = [video.height, video.width]
    for frame, mask in enumerate(segmentations):
        if mask is None:
            continue
        field = f'segmentations[{frame}]'
        if not isinstance(mask, dict) or 'counts' not in mask or 'size' not in mask:
            raise _error(place, field, f'{shown(mask)} is neither a COCO RLE nor null')
        if mask['size'] != size:
            raise _error(
                place,
                f'{field}.size',
                f'{shown(mask["size"])} where the video has [height, width] = {size}',
            )
        counts = mask['counts']
        if isinstance(counts, list):
            if not all(type(run) is int and 0 <= run <= size[0] * size[1] for run in counts):
                raise _error(place, f'{field}.counts', f'{shown(counts)} are no run lengths')
        elif not isinstance(counts, str):
            raise _error(place, f'{field}.counts', f'{shown(counts)} is no text and no list')


def _error(place: str, field: str, problem: str) -> ResultsError:
    return ResultsError(f"{place}, field '{field}': {problem}.")


# The servers look for this name at the top level of the zip.
RESULTS_NAME = 'results.json'


def write_results(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes the JSON list; an existing file is replaced when the new one is complete.

    Args:
        path: The file.
        entries: `{video_id, category_id, score, segmentations}` with plain numbers and texts.
    """
    write_atomically(path, _encode(entries))


def write_submission(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes the zip with the same list; an existing file is replaced likewise."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(RESULTS_NAME, _encode(entries))
    write_atomically(path, buffer.getvalue())


def _encode(entries: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps(list(entries), allow_nan=False).encode()
