"""Write the tracks of a video as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from axialvs.inference.segmented_video import SegmentedVideo
from axialvs.utils.files import write_atomically
from axialvs.utils.rle import measure

Layout = Literal['tracks', 'youtube-vis', 'coco-video']


def write_tracks(path: str | Path, video: SegmentedVideo, layout: Layout = 'tracks') -> None:
    """Write all tracks atomically.

    Args:
        path: output file.
        video: video with its tracks.
        layout: 'tracks' is `{video, model, categories, tracks}`; 'youtube-vis' and 'coco-video' are
            layouts of annotation files, with scores.
    """
    write_atomically(path, json.dumps(LAYOUTS[layout](video)).encode())


def as_tracks(video: SegmentedVideo) -> dict[str, Any]:
    """Format tracks for `axialvs eval vis`."""
    return {
        'video': video.video,
        'model': video.model,
        'categories': video.categories,
        'tracks': [
            {
                'id': track.id,
                'category_id': video.category_ids[track.label],
                'category': video.class_names[track.label],
                'score': track.score,
                'scores': [x and round(x, 6) for x in track.frame_scores],
                'segmentations': track.segmentations,
                'bboxes': [None if rle is None else measure(rle)[1] for rle in track.segmentations],
                'is_thing': track.is_thing,
            }
            for track in video.tracks
        ],
    }


def as_youtube_vis(video: SegmentedVideo) -> dict[str, Any]:
    """Format tracks as YouTube-VIS: a video, and one annotation per track with all its masks."""
    size = {'width': video.video['width'], 'height': video.video['height']}
    length = video.video['length']
    annotations = []
    for track in video.tracks:
        measured = [None if rle is None else measure(rle) for rle in track.segmentations]
        annotations.append(
            {
                'id': track.id,
                'video_id': 1,
                'category_id': video.category_ids[track.label],
                'score': track.score,
                'iscrowd': 0,
                **size,
                'length': length,
                'segmentations': track.segmentations,
                'areas': [x and x[0] for x in measured],
                'bboxes': [x and x[1] for x in measured],
            }
        )
    files = [_file_name(video, i) for i in range(length)]
    return {
        **_head(video),
        'videos': [{'id': 1, **size, 'length': length, 'file_names': files}],
        'annotations': annotations,
    }


def as_coco_video(video: SegmentedVideo) -> dict[str, Any]:
    """Format tracks as COCO with `videos` (mmdet's CocoVID): an annotation per track and frame."""
    size = {'width': video.video['width'], 'height': video.video['height']}
    images = [
        {'id': i + 1, 'video_id': 1, 'frame_id': i, **size, 'file_name': _file_name(video, i)}
        for i in video.times
    ]
    annotations: list[dict[str, Any]] = []
    for track in video.tracks:
        for index in video.times:
            rle = track.segmentations[index]
            if rle is not None:
                area, box = measure(rle)
                annotations.append(
                    {
                        'id': len(annotations) + 1,
                        'image_id': index + 1,
                        'video_id': 1,
                        'instance_id': track.id,
                        'category_id': video.category_ids[track.label],
                        'score': track.score,
                        'iscrowd': 0,
                        'segmentation': rle,
                        'area': area,
                        'bbox': box,
                    }
                )
    videos = [{'id': 1, 'name': video.name, **size}]
    return {**_head(video), 'videos': videos, 'images': images, 'annotations': annotations}


LAYOUTS: dict[Layout, Callable[[SegmentedVideo], dict[str, Any]]] = {
    'tracks': as_tracks,
    'youtube-vis': as_youtube_vis,
    'coco-video': as_coco_video,
}


def _head(video: SegmentedVideo) -> dict[str, Any]:
    return {'info': {**video.video, **video.model}, 'categories': video.categories}


def _file_name(video: SegmentedVideo, index: int) -> str:
    """Return the path of a frame, or its path after extraction from the video."""
    stem = video.frame_names.get(index, f'{index:05d}')
    return f'{Path(video.name).stem}/{stem}.jpg'
