"""Read, check and write detected tracks in the official results layout.

Also reads submission zips, and the tracks of one video written by `segment_video.py`.
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

from axialvs.datasets.annotations.schema import AnnotationError, JsonRecord, shown
from axialvs.datasets.annotations.youtube_vis import Instance, Video, VideoAnnotations
from axialvs.datasets.class_names import normalize_name
from axialvs.evaluation.tube_iou import Tube
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically
from axialvs.utils.rle import RLEError, read_tube

RESULTS_NAME = 'results.json'  # expected by evaluation servers at the top level of the zip


class ResultsError(AxialVSError):
    """An error in detected tracks; the message names file, entry, video and field."""


@dataclass(frozen=True, slots=True)
class TrackResult:
    """A detected track.

    Attributes:
        video_id: id of its video.
        category_id: id of its category in the annotation file.
        score: any finite number; only the order matters.
        segmentations: one COCO RLE per frame of the video, or None if the track is absent.
        place: file and index of the entry, for error messages.
    """

    video_id: int
    category_id: int
    score: float
    segmentations: Sequence[Mapping[str, Any] | None]
    place: str = ''


def read_results(
    path: str | os.PathLike[str], annotations: VideoAnnotations, video_id: int | None = None
) -> list[TrackResult]:
    """Read a results file.

    Args:
        path: JSON list of `{video_id, category_id, score, segmentations}`; a submission zip with
            such a list; or the JSON of `segment_video.py`, an object with `tracks`.
        annotations: the ground truth of the results.
        video_id: the video of `tracks`; not needed if the ground truth has only one video.

    Raises:
        FileNotFoundError: if the file does not exist.
        ResultsError: if the file is invalid.
    """
    path = os.fspath(path)
    content = _load(path)
    if isinstance(content, dict) and 'tracks' in content:
        content = _entries_of_tracks(content, annotations, path, video_id)
    elif video_id is not None:
        raise ResultsError(
            f'{path}: entries in the official layout have their own video ids; only set a video id '
            'for tracks written by segment_video.py.'
        )
    if not isinstance(content, list):
        raise ResultsError(
            f'{path}: {shown(content)} is neither a list of results nor an object with "tracks".'
        )
    return check_results(content, annotations, path)


def check_results(
    entries: Iterable[Any], annotations: VideoAnnotations, source: str
) -> list[TrackResult]:
    """Check entries of the official results layout; RLEs are checked by `read_result_tubes`.

    Args:
        entries: the entries.
        annotations: the ground truth of the entries.
        source: file or other origin, for error messages.

    Raises:
        ResultsError: if an entry is invalid.
    """
    videos = {video.id: video for video in annotations.videos}
    categories = {category.id for category in annotations.categories}
    return [
        _check_entry(entry, f'{source}: entry {index}', videos, categories)
        for index, entry in enumerate(entries)
    ]


def only_video(annotations: VideoAnnotations, video_id: int) -> VideoAnnotations:
    """Select the ground truth of one video."""
    return replace(
        annotations,
        videos=tuple(video for video in annotations.videos if video.id == video_id),
        instances=annotations.instances
        and tuple(x for x in annotations.instances if x.video_id == video_id),
    )


def results_by_video(
    annotations: VideoAnnotations, results: Iterable[TrackResult]
) -> dict[int, list[TrackResult]]:
    """Group tracks by video id, in their order; videos without tracks have an empty list."""
    grouped: dict[int, list[TrackResult]] = {video.id: [] for video in annotations.videos}
    for result in results:
        grouped[result.video_id].append(result)
    return grouped


def read_result_tubes(video: Video, results: Sequence[TrackResult]) -> list[Tube]:
    """Parse the masks of detected tracks of a video.

    Raises:
        ResultsError: if an RLE does not encode a mask of the video.
    """
    tubes = []
    for result in results:
        try:
            tubes.append(read_tube(result.segmentations, video.height, video.width))
        except RLEError as error:
            field = f'segmentations[{error.position}].counts'
            raise _error(result.place, field, error.reason) from error
    return tubes


def read_gt_tubes(video: Video, gts: Sequence[Instance]) -> list[Tube]:
    """Parse the masks of ground truth tracks of a video.

    Raises:
        AnnotationError: if an RLE does not encode a mask of the video.
    """
    tubes = []
    for gt in gts:
        try:
            tubes.append(read_tube(gt.segmentations, video.height, video.width))
        except RLEError as error:
            raise AnnotationError(
                f"video {video.id}, instance {gt.id}, field 'segmentations[{error.position}]': "
                f'{error.reason}.'
            ) from error
    return tubes


def _load(path: str) -> Any:
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such results file.')
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if RESULTS_NAME not in archive.namelist():
                    raise ResultsError(
                        f'{path}: evaluation servers require {RESULTS_NAME} at the top level of '
                        f'the zip, which contains {shown(archive.namelist())}.'
                    )
                return json.loads(archive.read(RESULTS_NAME))
        return json.loads(Path(path).read_bytes())  # unlike str, may start with a byte order mark
    except (ResultsError, PermissionError):
        raise
    except Exception as error:  # reading a damaged zip can raise anything
        problem = str(error) or type(error).__name__
        raise ResultsError(f'{path}: not valid JSON ({problem}).') from error


def _entries_of_tracks(
    content: dict[str, Any], annotations: VideoAnnotations, path: str, video_id: int | None
) -> Any:
    """Convert the tracks of one video to the official layout."""
    if video_id is None:
        if len(annotations.videos) != 1:
            raise ResultsError(
                f'{path}: contains the tracks of one video, but the ground truth '
                f'{annotations.path} has {len(annotations.videos)} videos. Set --video-id of '
                'eval_vis.py, or use a ground truth file of this video only.'
            )
        video_id = annotations.videos[0].id
    elif video_id not in {video.id for video in annotations.videos}:
        raise ResultsError(f'{annotations.path}: has no video {video_id}.')
    names = {category.id: category.name for category in annotations.categories}
    record = JsonRecord(content, path)
    for category in record.records('categories', 'category') if 'categories' in content else ():
        identifier, name = category.integer('id'), category.text('name')
        known = names.get(identifier)
        if known is not None and normalize_name(known) != normalize_name(name):
            raise ResultsError(
                f"{path}: field 'categories': id {identifier} is {name!r} here and "
                f'{known!r} in {annotations.path}. Use tracks with the same categories.'
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
        raise _error(place, 'video_id', f'{shown(video_id)} is not a video of the ground truth')
    place = f'{place}, video {video_id}'
    if type(category_id) is not int or category_id not in categories:
        problem = f'{shown(category_id)} is not a category of the ground truth'
        raise _error(place, 'category_id', problem)
    if not _is_finite(score):
        raise _error(place, 'score', f'{shown(score)} is not a finite number')
    segmentations = entry['segmentations']
    _check_segmentations(segmentations, place, videos[video_id])
    return TrackResult(video_id, category_id, float(score), segmentations, place)


def _is_finite(score: Any) -> bool:
    try:
        return type(score) in (int, float) and math.isfinite(score)
    except OverflowError:  # an integer with hundreds of digits
        return False


def _check_segmentations(segmentations: Any, place: str, video: Video) -> None:
    if not isinstance(segmentations, list):
        raise _error(place, 'segmentations', f'{shown(segmentations)} is not a list')
    if len(segmentations) != video.length:
        raise _error(
            place,
            'segmentations',
            f'{len(segmentations)} entries, but the video has {video.length} frames; use null for '
            'frames without the object',
        )
    size = [video.height, video.width]
    for frame, mask in enumerate(segmentations):
        if mask is None:
            continue
        field = f'segmentations[{frame}]'
        if not isinstance(mask, dict) or 'counts' not in mask or 'size' not in mask:
            raise _error(place, field, f'{shown(mask)} is neither a COCO RLE nor null')
        if mask['size'] != size:
            problem = f'{shown(mask["size"])}, but the video has [height, width] = {size}'
            raise _error(place, f'{field}.size', problem)
        if not isinstance(mask['counts'], str | list):
            problem = f'{shown(mask["counts"])} is neither a string nor a list'
            raise _error(place, f'{field}.counts', problem)


def _error(place: str, field: str, problem: str) -> ResultsError:
    return ResultsError(f"{place}, field '{field}': {problem}.")


def write_results(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write the JSON list atomically, replacing an existing file.

    Args:
        path: the file.
        entries: `{video_id, category_id, score, segmentations}` with JSON-serializable values.
    """
    write_atomically(path, _encode(entries))


def write_submission(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write a submission zip with the list of `write_results`, replacing an existing file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(RESULTS_NAME, _encode(entries))
    write_atomically(path, buffer.getvalue())


def _encode(entries: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps(list(entries), allow_nan=False).encode()
