"""Objects of a training clip are collected from its frames, one row per instance id."""

import numpy as np
import pytest
import torch

from axialvs.models.ground_truth import collate_clip_instances
from training_clips import training_clip

HEIGHT, WIDTH = 4, 6
CPU = torch.device('cpu')


def mask_of(object_id: int, frame: int) -> np.ndarray:
    """Return a mask pattern unique to the object and frame."""
    return np.random.default_rng([object_id, frame]).random((HEIGHT, WIDTH)) > 0.5


def clip(*frames: dict[int, int]):
    """Return a clip whose frames show objects, given as {instance id: label}."""
    objects = [
        {object_id: (label, mask_of(object_id, t)) for object_id, label in frame.items()}
        for t, frame in enumerate(frames)
    ]
    return training_clip(objects, HEIGHT, WIDTH)


def test_rows_follow_instance_ids_across_frames():
    objects = collate_clip_instances(clip({7: 2, 0: 1}, {}, {9: 0, 7: 2}), CPU, 4)
    assert objects.labels.tolist() == [1, 2, 0]
    expected = torch.zeros(3, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    for row, object_id, frame in ((0, 0, 0), (1, 7, 0), (1, 7, 2), (2, 9, 2)):
        expected[row, frame] = torch.from_numpy(mask_of(object_id, frame))
    assert torch.equal(objects.masks, expected)
    assert objects.masks.dtype == torch.uint8


def test_object_with_two_classes_raises():
    with pytest.raises(ValueError, match=r'video/00002\.jpg: instance 7 has class 3, but 2'):
        collate_clip_instances(clip({7: 2}, {}, {7: 3}), CPU, 4)


def test_label_beyond_the_model_classes_raises():
    """The label 4 would be the no-object class."""
    with pytest.raises(ValueError, match=r'video/00001\.jpg: instance 9 has class 4, .* 4 classes'):
        collate_clip_instances(clip({7: 2}, {9: 4}), CPU, 4)


def test_a_clip_without_objects():
    objects = collate_clip_instances(clip({}, {}), CPU, 4)
    assert objects.labels.shape == (0,)
    assert objects.labels.dtype == torch.long
    assert objects.masks.shape == (0, 2, HEIGHT, WIDTH)
