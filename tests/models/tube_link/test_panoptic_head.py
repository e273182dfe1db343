"""Tube-Link's thing and stuff queries: targets and losses by hand, and linking."""

import math

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from axialvs.tracking.matching import align_clips, match_queries
from axialvs.utils.errors import AxialVSError
from fixed_points import fixed_points
from tiny_offline import CROSS_CLIP, tiny_offline_config
from tiny_segmenter import PANOPTIC, QUERIES, randomize, tiny_config
from training_clips import training_clip

NUM_CLASSES = 9
# Stuff is not at the end, as in VIPSeg; its queries are 6, 7, 8 and 9.
THINGS, STUFF = [0, 2, 3, 5, 8], [1, 4, 6, 7]
HEIGHT, WIDTH, FRAMES = 32, 48, 2


def segmenter(contrast=None, thing_labels=THINGS):
    config = tiny_config(PANOPTIC).model
    config.panoptic_head.update(thing_labels=thing_labels, contrast=contrast)
    model = MODELS.build(config)
    randomize(model)
    return model.train()


@pytest.fixture
def head():
    head = segmenter().panoptic_head
    head.importance_sample_ratio = 0.0
    return head


def stripes(*labels):
    """Return objects (label per stripe) that split a frame's rows, equal in all frames."""
    masks = torch.zeros(len(labels), FRAMES, 8 * len(labels), 12, dtype=torch.uint8)
    for row, mask in enumerate(masks):
        mask[:, 8 * row : 8 * row + 8] = 1
    return InstanceData(labels=torch.tensor(labels, dtype=torch.long), masks=masks)


def perfect(targets, queries):
    """Return logits of a clip (B = 1) with each object at the given query."""
    class_logits = torch.full((1, QUERIES + len(STUFF), NUM_CLASSES + 1), -30.0)
    class_logits[..., -1] = 30.0
    mask_logits = torch.full((1, QUERIES + len(STUFF), *targets.masks.shape[1:]), -30.0)
    for query, label, mask in zip(queries, targets.labels, targets.masks, strict=True):
        class_logits[0, query, -1] = -30.0
        class_logits[0, query, label] = 30.0
        mask_logits[0, query] = 60.0 * mask - 30
    return [class_logits], [mask_logits]


def test_stuff_is_assigned_to_the_query_of_its_class(head):
    targets = stripes(5, 2, 1, 6)
    with fixed_points(margin=0.25):
        right = head.video_loss(*perfect(targets, [4, 0, 6, 8]), [targets])
        wrong = head.video_loss(*perfect(targets, [4, 0, 8, 6]), [targets])
        among_things = head.video_loss(*perfect(targets, [4, 0, 6, 5]), [targets])
        among_stuff = head.video_loss(*perfect(targets, [4, 7, 6, 8]), [targets])
        elsewhere = head.video_loss(*perfect(targets, [1, 3, 6, 8]), [targets])
    assert right['loss_cls'].item() == elsewhere['loss_cls'].item() == pytest.approx(0, abs=1e-4)
    for losses in (wrong, among_things, among_stuff):
        assert losses['loss_cls'] > 10
        assert losses['loss_mask'] > 10 * right['loss_mask']  # only points at borders contribute


def test_loss_of_zero_logits_by_hand(head):
    """Losses of things and of stuff are means over their own queries and masks, and add up."""
    targets = [stripes(5, 2, 1), stripes(0, 4, 7)]
    size = targets[0].masks.shape[1:]
    logits = torch.zeros(2, QUERIES + len(STUFF), NUM_CLASSES + 1)
    masks = torch.zeros(2, QUERIES + len(STUFF), *size)
    with fixed_points(margin=0.25):
        losses = head.video_loss([logits], [masks], targets)
    assert losses['loss_cls'].item() == pytest.approx(2 * 2 * math.log(NUM_CLASSES + 1), rel=1e-5)
    assert losses['loss_mask'].item() == pytest.approx(2 * 5 * math.log(2), rel=1e-5)


def test_no_object_weight_within_each_group(head):
    targets = stripes(5, 1)
    class_logits, mask_logits = perfect(targets, [0, 6])
    class_logits[0][0, 9, -1], class_logits[0][0, 9, 4] = 0.0, 10.0  # a query of absent stuff
    with fixed_points(margin=0.25):
        losses = head.video_loss(class_logits, mask_logits, [targets])
    expected = 2 * 0.1 * math.log(1 + math.exp(10)) / (1 + 0.1 * (len(STUFF) - 1))
    assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-4)


def clip(*labels):
    """Return a sample whose objects, with ids from 1, fill stripes of each frame."""
    objects = {}
    for row, label in enumerate(labels):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[8 * row : 8 * row + 8] = True
        objects[row + 1] = (label, mask)
    return training_clip([objects] * FRAMES, HEIGHT, WIDTH)


def test_targets_are_things_by_id_then_stuff_by_class(head):
    targets = head.collate_targets(clip(7, 5, 1, 7), torch.device('cpu'))
    assert targets.labels.tolist() == [5, 1, 7]
    assert targets.masks[2, 0, :, 0].nonzero().flatten().tolist() == [*range(8), *range(24, 32)]


@pytest.mark.parametrize('labels', [(), (5,), (1,), (5, 1, 4)], ids=str)
def test_clips_without_things_or_stuff(labels):
    model = segmenter(contrast={})
    images = torch.randn(2, FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    losses = model.loss(images, [clip(*labels), clip(*labels)])
    assert all(torch.isfinite(x) for x in losses.values())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name  # a missing loss blocks distributed training
        assert torch.isfinite(parameter.grad).all(), name


def test_two_equal_clips_have_the_loss_of_one():
    model = segmenter(contrast={})
    images = torch.randn(1, FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    sample = clip(5, 1, 2, 4)
    with fixed_points():
        one = model.loss(images, [sample])
        gradients = torch.autograd.grad(sum(one.values()), tuple(model.parameters()))
        two = model.loss(images.repeat(2, 1, 1, 1, 1), [sample, sample])
        of_both = torch.autograd.grad(sum(two.values()), tuple(model.parameters()))
    assert one['loss_track'] > 0
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(gradients, of_both, strict=True):
        assert (ours - theirs).norm() <= 1e-3 * ours.norm() + 1e-5


def test_contrastive_loss_is_for_things_only(head):
    targets = stripes(5, 1)
    targets.objects = torch.tensor([3, 4])
    class_logits, mask_logits = perfect(targets, [2, 6])
    matched = head.match_objects(class_logits[0][0], mask_logits[0][0], targets)
    assert matched.tolist() == [-1, -1, 3, *[-1] * (QUERIES + len(STUFF) - 3)]


@pytest.mark.parametrize('contrast', [None, {}], ids=['queries', 'embeddings'])
@torch.no_grad()
def test_stuff_is_linked_to_itself_and_things_by_similarity(contrast):
    model = segmenter(contrast).eval()
    images = torch.randn(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    prediction = model.predict_clip(images)
    things = torch.tensor([3, 0, 5, 1, 2, 4])
    stuff = torch.arange(QUERIES, QUERIES + len(STUFF))
    order = match_queries(prediction.identity, prediction.identity[torch.cat((things, stuff))])
    assert order.tolist() == [*things.argsort().tolist(), *stuff.tolist()]
    # Thing queries are never linked to stuff queries, even if those are the nearest.
    moved = prediction.queries.flip(0).unsqueeze(0)
    order = match_queries(prediction.identity, model.panoptic_head.embed_tracks(moved)[0])
    assert order[QUERIES:].tolist() == stuff.tolist()


@pytest.mark.parametrize(
    ('settings', 'value'),
    [
        (dict(thing_labels=[0, 2, 3]), r'\[0, 2, 3\]'),
        (dict(thing_labels=[0, 2, 3, 5, 9]), '9'),
        (dict(num_queries=4), '4'),
    ],
)
def test_invalid_settings(settings, value):
    config = tiny_config(PANOPTIC).model
    config.panoptic_head.update(settings)
    with pytest.raises(AxialVSError, match=value):
        MODELS.build(config)


def test_offline_refinement_of_things_and_stuff():
    config = tiny_offline_config(CROSS_CLIP).model
    config.panoptic_head.update(
        type='ClipPanopticHead',
        thing_labels=THINGS,
        num_things_classes=len(THINGS),
        num_stuff_classes=len(STUFF),
        num_queries=QUERIES + len(STUFF),
    )
    config.panoptic_head.loss_cls.class_weight = [1.0] * NUM_CLASSES + [0.1]
    config.clip_length = FRAMES
    model = MODELS.build(config)
    randomize(model)
    images = torch.randn(1, 2 * FRAMES, 3, HEIGHT, WIDTH)
    sample = clip(5, 1, 2, 4)
    sample.video_data_samples = [*sample, *sample]
    sum(model.train().loss(images, [sample]).values()).backward()
    assert all(x.grad is not None for x in model.parameters() if x.requires_grad)
    prediction = model.eval().predict_video(images[0])
    # Stuff queries of the second clip are matched to themselves.
    features = model.panoptic_head.encode_clips(model.extract_features(images[:, FRAMES:]), FRAMES)
    orders = align_clips(torch.stack((features.identity.flip(1), features.identity), dim=1))
    assert len(prediction.class_logits) == QUERIES + len(STUFF)
    assert orders[0, 1].tolist() == [*range(QUERIES + len(STUFF))][::-1]
