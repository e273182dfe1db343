"""Contact sheet of a training clip: frames with masks, classes and ids."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from numpy.typing import NDArray

from axialvs.visualization.overlay import draw_tracks, scaled_masks
from axialvs.visualization.text import GAP, PAPER, in_a_row, plain_text, text_bar

_MAX_WIDTH = 3200  # pixels; more frames are wrapped
_CROWD = (128, 128, 128)
_CROWD_OPACITY = 0.6
_LONGEST_ID = 9999  # longer ids, as in COCO, are replaced by their rank


def contact_sheet(
    sample: dict[str, Any], class_names: Sequence[str], height: int
) -> NDArray[np.uint8]:
    """Draw a training clip from the dataloader.

    Crowds, which are ignored in training, are gray. Ids of more than four digits are replaced by
    their rank in the clip.

    Args:
        sample: `inputs` (T, 3, H, W) uint8 BGR, and `data_samples` of T frames.
        class_names: names of the classes.
        height: height of a frame in the sheet, pixels.

    Returns:
        uint8 RGB (rows, columns, 3).
    """
    frames = sample['inputs'].numpy().transpose(0, 2, 3, 1)[..., ::-1]
    names = _names_of_ids(sample['data_samples'])
    cells = [
        _cell(frame, gt, names, class_names, height)
        for frame, gt in zip(frames, sample['data_samples'], strict=True)
    ]
    per_row = max(1, _MAX_WIDTH // (cells[0].shape[1] + GAP))
    rows = [in_a_row(cells[i : i + per_row]) for i in range(0, len(cells), per_row)]
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_widened(row, width) for row in rows])


def _names_of_ids(clip: Sequence[DetDataSample]) -> dict[int, int]:
    ids = sorted({i for frame in clip for i in frame.gt_instances.instances_ids.tolist()})
    if ids and ids[-1] > _LONGEST_ID:
        return {identifier: rank for rank, identifier in enumerate(ids, start=1)}
    return {identifier: identifier for identifier in ids}


def _cell(
    frame: NDArray[np.uint8],
    gt: DetDataSample,
    names: dict[int, int],
    class_names: Sequence[str],
    height: int,
) -> NDArray[np.uint8]:
    """Draw one frame, scaled first so that lines and text are sharp."""
    size = max(1, round(height * frame.shape[1] / frame.shape[0])), height
    image = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    for mask in scaled_masks(gt.ignored_instances.masks.masks, size):
        gray = (1 - _CROWD_OPACITY) * image[mask] + _CROWD_OPACITY * np.array(_CROWD)
        image[mask] = gray.astype(np.uint8)
    instances = gt.gt_instances
    ids = [names[identifier] for identifier in instances.instances_ids.tolist()]
    masks = scaled_masks(instances.masks.masks, size)
    image = draw_tracks(image, masks, ids, instances.labels.tolist(), None, class_names)
    return np.concatenate([text_bar(_caption(gt, size[0]), size[0]), image])


def _caption(gt: DetDataSample, width: int) -> str:
    meta = gt.metainfo
    parts = [
        f'frame {meta.get("frame_id", "?")}',
        f'{len(gt.gt_instances)} objects' + ', flipped' * bool(meta.get('flip')),
        'x'.join(map(str, meta['img_shape'][::-1])),
        f'video {meta.get("video_id", "?")}',
    ]
    text = ''
    for part in parts:  # as many as fit
        longer = plain_text(f'{text}, {part}' if text else part)
        if cv2.getTextSize(longer, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] > width - 4:
            break
        text = longer
    return text


def _widened(row: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=PAPER)
