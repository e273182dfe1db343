"""A tiny dataset whose objects are painted in unique colors."""

import numpy as np
import torch
from mmengine.runner import Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator
from pycocotools import mask as mask_utils

HEIGHT, WIDTH = 48, 64
BACKGROUND = (40, 40, 40)
# Instance id -> BGR color of its pixels; 0 is a regular id.
COLORS = {0: (0, 0, 255), 7: (0, 255, 0), 9: (255, 0, 0)}
CATEGORIES = [{'id': 3, 'name': 'disc'}, {'id': 8, 'name': 'box'}]


def rle_of(mask: np.ndarray) -> dict:
    """Return a compressed COCO RLE."""
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(mask.shape), 'counts': rle['counts'].decode()}


def counts_of(mask: np.ndarray) -> dict:
    """Return an uncompressed COCO RLE."""
    flat = mask.T.reshape(-1).astype(np.int8)
    borders = np.flatnonzero(np.diff(np.concatenate(([0], flat)))).tolist()
    return {
        'size': list(mask.shape),
        'counts': np.diff([0, *borders, flat.size]).tolist(),
    }


def object_mask(instance_id: int, frame: int) -> np.ndarray | None:
    """Return the mask (H, W) of a disc, a box that comes late, or a box that leaves at frame 3."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    if instance_id == 0:
        return (y - 24) ** 2 + (x - 12 - 2 * frame) ** 2 < 81
    if instance_id == 7:
        return None if frame < 2 else (y < 10) & (abs(x - 50 + frame) < 6)
    return None if frame >= 3 else (y >= 36) & (x >= 40 + 3 * frame)


def paint(masks: dict[int, np.ndarray | None]) -> np.ndarray:
    """Return a uint8 BGR frame (H, W, 3) with the masks in their colors."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = BACKGROUND
    for instance_id, mask in masks.items():
        if mask is not None:
            image[mask] = COLORS[instance_id]
    return image


def make_content(lengths: tuple[int, ...] = (5, 6)) -> dict:
    """Return the JSON of a valid dataset with the three objects in every video."""
    content = {'videos': [], 'categories': [dict(c) for c in CATEGORIES], 'annotations': []}
    for index, length in enumerate(lengths):
        video_id = index + 1
        content['videos'].append(
            {
                'id': video_id,
                'width': WIDTH,
                'height': HEIGHT,
                'length': length,
                'file_names': [f'v{video_id}/{frame:05d}.png' for frame in range(length)],
            }
        )
        for instance_id in COLORS:
            masks = [object_mask(instance_id, frame) for frame in range(length)]
            content['annotations'].append(
                {
                    'id': instance_id + 10 * index,
                    'video_id': video_id,
                    'category_id': 3 if instance_id == 0 else 8,
                    'segmentations': [None if m is None else rle_of(m) for m in masks],
                    'areas': [None if m is None else int(m.sum()) for m in masks],
                    'bboxes': [None if m is None else [0, 0, 1, 1] for m in masks],
                    'iscrowd': 0,
                    'width': WIDTH,
                    'height': HEIGHT,
                    'length': length,
                }
            )
    return content


FLIP = {'type': 'RandomFlip', 'prob': 0.5}


def train_pipeline(*transforms):
    load = [{'type': 'LoadFrame'}, {'type': 'LoadClipAnnotations'}]
    return [
        {
            'type': 'TransformBroadcaster',
            'share_random_params': True,
            'transforms': [*load, *transforms],
        },
        {'type': 'FilterEmptyInstances'},
        {'type': 'PackClip'},
    ]


TEST_PIPELINE = [
    {
        'type': 'TransformBroadcaster',
        'transforms': [
            {'type': 'LoadFrame'},
            {'type': 'Resize', 'scale': (32, 32), 'keep_ratio': True},
        ],
    },
    {'type': 'PackClip'},
]


def keys_of(dataset):
    """Return (video id, start frame) of all indices."""
    videos = [dataset.get_data_info(video)['video_id'] for video in dataset._clip_videos]
    return list(zip(videos, dataset._clip_starts.tolist(), strict=True))


def frames_of(sample):
    return [frame.frame_id for frame in sample['data_samples']]


def same(first, second) -> bool:
    """Return whether two samples or batches have equal pixels and masks."""
    if not isinstance(first['inputs'], list):
        first, second = ({k: [v] for k, v in sample.items()} for sample in (first, second))
    if not all(map(torch.equal, first['inputs'], second['inputs'])):
        return False
    for one, other in zip(first['data_samples'], second['data_samples'], strict=True):
        for mine, theirs in zip(one, other, strict=True):
            masks, others = mine.gt_instances.masks.masks, theirs.gt_instances.masks.masks
            assert np.array_equal(masks, others)  # equal pixels have equal masks
    return True


def batches(dataset, num_workers, number, skip=0):
    """Return batches of two as in mmengine's IterBasedTrainLoop, from iteration `skip` on."""
    loader = Runner.build_dataloader(
        {
            'batch_size': 2,
            'num_workers': num_workers,
            'sampler': {'type': 'InfiniteClipSampler'},
            'dataset': dataset,
        },
        seed=3,
    )
    iterator = _InfiniteDataloaderIterator(loader)
    iterator.skip_iter(skip)
    return [next(iterator) for _ in range(number)]
