"""Losses of the clip head: by hand, compared with mmdet on a tall image, and gradients."""

import math

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from axialvs.models.matching import NonFiniteCostError
from axialvs.models.tube_link.clip_head import ClipDecoding
from fixed_points import fixed_points
from tiny_segmenter import PLAIN, QUERIES, WITHIN_CLIP, tiny_config, tiny_segmenter
from training_clips import moving_boxes

NUM_CLASSES, LAYERS = 5, 3
HEIGHT, WIDTH = 64, 64
TERMS = ('loss_cls', 'loss_mask', 'loss_dice')
KEYS = {f'{layer}{term}' for layer in ('', 'd0.', 'd1.', 'd2.') for term in TERMS}


def training_model(name=WITHIN_CLIP):
    return tiny_segmenter(name).train()


def images(batch, num_frames, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, num_frames, 3, HEIGHT, WIDTH, generator=rng)


def boxes(*numbers, num_frames=3):
    return [moving_boxes(n, num_frames, HEIGHT, WIDTH) for n in numbers]


def loss_of_logits(monkeypatch, class_logits, mask_logits, objects):
    """Return the head's losses if every layer predicts the given logits, (B, Q, ...) each, at
    points sampled uniformly from the middle of the tall image."""
    head = training_model(PLAIN).panoptic_head
    head.importance_sample_ratio = 0.0
    decoding = ClipDecoding([class_logits] * 4, [mask_logits] * 4, torch.zeros(0), torch.zeros(0))
    monkeypatch.setattr(head, 'forward', lambda feats, num_frames: decoding)
    with fixed_points(margin=0.25):
        losses = head.loss([mask_logits], mask_logits.shape[2], objects)
    assert losses.keys() == KEYS
    for term in TERMS:  # all layers have equal predictions
        torch.testing.assert_close(losses[term], losses[f'd1.{term}'])
    return losses


def whole_frames(labels, num_frames=2):
    """Return objects that fill all frames."""
    masks = torch.ones(len(labels), num_frames, 8, 8, dtype=torch.uint8)
    return InstanceData(labels=torch.tensor(labels, dtype=torch.long), masks=masks)


def test_perfect_predictions_have_zero_loss(monkeypatch):
    objects = whole_frames([2, 0])
    class_logits = torch.full((1, QUERIES, NUM_CLASSES + 1), -30.0)
    class_logits[0, :, -1] = 30.0
    mask_logits = torch.full((1, QUERIES, 2, 8, 8), -30.0)
    for query, label in ((4, 2), (1, 0)):
        class_logits[0, query, -1] = -30.0
        class_logits[0, query, label] = 30.0
        mask_logits[0, query] = 30.0
    losses = loss_of_logits(monkeypatch, class_logits, mask_logits, [objects])
    assert all(value.item() == pytest.approx(0, abs=1e-5) for value in losses.values())


def test_loss_of_zero_logits_by_hand(monkeypatch):
    """With all logits zero: the entropy of N + 1 classes, ln 2 a pixel, dice of p = 1/2 on ones."""
    points = tiny_config().model.train_cfg.num_points
    objects = [whole_frames([2, 0]), whole_frames([4])]
    class_logits = torch.zeros(2, QUERIES, NUM_CLASSES + 1)
    losses = loss_of_logits(monkeypatch, class_logits, torch.zeros(2, QUERIES, 2, 8, 8), objects)
    dice = 1 - (2 * 0.5 * points + 1) / (0.5 * points + points + 1)
    assert losses['loss_cls'].item() == pytest.approx(2 * math.log(NUM_CLASSES + 1), rel=1e-5)
    assert losses['loss_mask'].item() == pytest.approx(5 * math.log(2), rel=1e-5)
    assert losses['loss_dice'].item() == pytest.approx(5 * dice, rel=1e-5)


def test_no_object_class_has_weight_one_tenth(monkeypatch):
    """One query is matched to class 0 and predicts it with odds e : 1; the others predict
    no-object with certainty, except one that predicts class 1."""
    class_logits = torch.full((1, QUERIES, NUM_CLASSES + 1), -40.0)
    class_logits[0, :, -1] = 0.0
    class_logits[0, 0, 0] = 1.0
    class_logits[0, 3, 1], class_logits[0, 3, -1] = 0.0, -10.0
    mask_logits = torch.full((1, QUERIES, 2, 8, 8), -9.0)
    mask_logits[0, 0] = 9.0
    losses = loss_of_logits(monkeypatch, class_logits, mask_logits, [whole_frames([0])])
    matched = math.log(1 + math.exp(-1))
    wrong = math.log(1 + math.exp(10))
    weights = 1 + 0.1 * (QUERIES - 1)
    expected = 2 * (matched + 0.1 * wrong) / weights
    assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)


def test_mask_loss_covers_every_frame(monkeypatch):
    """Confident and correct in one of two frames: a wrong point costs the logit, half are wrong."""
    class_logits = torch.zeros(1, QUERIES, NUM_CLASSES + 1)
    mask_logits = torch.full((1, QUERIES, 2, 8, 8), -20.0)
    mask_logits[:, :, 0] = 20.0
    losses = loss_of_logits(monkeypatch, class_logits, mask_logits, [whole_frames([0])])
    assert losses['loss_mask'].item() == pytest.approx(5 * 20 / 2, rel=0.25)


@pytest.mark.parametrize('num_frames', [1, 3])
def test_losses_match_mask2former_on_the_tall_image(num_frames):
    model = training_model(PLAIN)
    head = model.panoptic_head
    clips, samples = images(2, num_frames), boxes(3, 1, num_frames=num_frames)
    torch.manual_seed(0)
    ours = model.loss(clips, samples)

    config = tiny_config(PLAIN).model
    config.panoptic_head.type = 'Mask2FormerHead'
    config.panoptic_head.pixel_decoder.type = 'MSDeformAttnPixelDecoder'
    config.train_cfg.assigner.type = 'HungarianAssigner'
    stock = MODELS.build({**config.panoptic_head, 'train_cfg': config.train_cfg})
    decoding = head(model.backbone(clips.flatten(0, 1)), num_frames)
    tall = [
        torch.cat([masks[:, :, t] for t in range(num_frames)], dim=2)
        for masks in decoding.mask_logits
    ]
    objects = []
    for sample in samples:
        ids = sorted({i for frame in sample for i in frame.gt_instances.instances_ids.tolist()})
        masks = torch.zeros(len(ids), num_frames * HEIGHT, WIDTH, dtype=torch.long)
        for t, frame in enumerate(sample):
            gt = frame.gt_instances
            for row, object_id in enumerate(gt.instances_ids.tolist()):
                mask = torch.from_numpy(gt.masks.masks[row].astype(int))
                masks[ids.index(object_id), t * HEIGHT : (t + 1) * HEIGHT] = mask
        objects.append(InstanceData(labels=torch.arange(len(ids)), masks=masks))
    torch.manual_seed(0)
    theirs = stock.loss_by_feat(decoding.class_logits, tall, objects, [{}, {}])
    assert ours.keys() == theirs.keys() == KEYS
    for key in KEYS:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-5, atol=1e-6)


def test_batch_weighs_clips_by_number_of_objects():
    """So accumulated batches match one large batch if all clips have the same number of objects."""
    model = training_model()
    frames, clips = images(2, 3), boxes(1, 3)
    with torch.no_grad(), fixed_points():
        one, three = (model.loss(frames[i : i + 1], clips[i : i + 1]) for i in range(2))
        both = model.loss(frames, clips)
    for term in ('loss_mask', 'loss_dice'):
        torch.testing.assert_close(both[term], (one[term] + 3 * three[term]) / 4)
        assert both[term] != pytest.approx((one[term] + three[term]).item() / 2, rel=0.01)
    # A query that is matched weighs 1, the others 0.1.
    a, b = (number + 0.1 * (QUERIES - number) for number in (1, 3))
    expected = (a * one['loss_cls'] + b * three['loss_cls']) / (a + b)
    torch.testing.assert_close(both['loss_cls'], expected)


def test_order_of_the_batch_does_not_matter():
    model = training_model()
    clips, samples = images(3, 2), boxes(2, 0, 3, num_frames=2)
    order = [2, 0, 1]
    with fixed_points():
        losses = model.loss(clips, samples)
        reordered = model.loss(clips[order], [samples[i] for i in order])
    for key in KEYS:
        torch.testing.assert_close(reordered[key], losses[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('numbers', [(0,), (0, 2)], ids=['alone', 'in a batch'])
def test_a_clip_without_objects(numbers):
    model = training_model()
    losses = model.loss(images(len(numbers), 2), boxes(*numbers, num_frames=2))
    assert all(torch.isfinite(value) for value in losses.values())
    if not any(numbers):
        masks = [value.item() for key, value in losses.items() if 'cls' not in key]
        assert masks == [0] * len(masks)
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name  # a missing loss blocks distributed training
        assert torch.isfinite(parameter.grad).all(), name


def gradients(model, num_frames):
    model.double()
    clips, samples = images(2, num_frames).double(), boxes(2, 3, num_frames=num_frames)
    with fixed_points():
        sum(model.loss(clips, samples).values()).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def key_half(grad, name):
    """Return the keys' part of the gradient of a joint projection."""
    if 'in_proj' in name:  # queries, keys, values
        return grad.chunk(3)[1]
    return grad.chunk(2)[0] if 'proj_kv' in name else grad


@pytest.mark.parametrize('num_frames', [1, 3])
@pytest.mark.parametrize('name', [PLAIN, WITHIN_CLIP], ids=['plain', 'within-clip'])
def test_every_parameter_has_a_gradient(name, num_frames):
    """Only biases added to all keys have zero gradients, since softmax is invariant to them;
    and with one frame, parameters that weigh frames."""
    unseen = ('.k.bias', 'proj_kv.bias', 'in_proj_bias')
    weighs_frames = ('proj_q.weight', 'proj_q.bias', 'proj_kv.weight') if num_frames == 1 else ()
    for parameter, grad in gradients(training_model(name), num_frames).items():
        assert torch.isfinite(grad).all(), parameter
        is_zero = parameter.endswith(unseen + weighs_frames)
        largest = key_half(grad, parameter).abs().max().item()
        if is_zero:
            assert largest < 1e-12, parameter
        if not is_zero or key_half(grad, parameter) is not grad:
            assert grad.abs().max() > 1e-9, parameter


def test_bfloat16_autocast():
    """The first prediction does not depend on attention masks, which rounding may flip."""
    model = training_model()
    clips, samples = images(2, 2), boxes(2, 1, num_frames=2)
    with fixed_points():
        full = model.loss(clips, samples)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            low = model.loss(clips, samples)
    for key, value in low.items():
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        if key.startswith('d0.'):
            torch.testing.assert_close(value, full[key], rtol=0.05, atol=0.02)
    sum(low.values()).backward()
    assert all(torch.isfinite(x.grad).all() for x in model.parameters())


@pytest.mark.parametrize(
    ('broken', 'cost'),
    [('cls_embed', 'ClassificationCost'), ('mask_embed', 'CrossEntropyLossCost')],
)
def test_error_of_invalid_logits_names_the_cost(broken, cost):
    model = training_model(PLAIN)
    for parameter in getattr(model.panoptic_head, broken).parameters():
        torch.nn.init.constant_(parameter, float('nan'))
    with pytest.raises(NonFiniteCostError, match=cost):
        model.loss(images(1, 2), boxes(2, num_frames=2))


def test_loss_matches_forward_in_loss_mode():
    """mmengine calls `forward(mode='loss')` on the data preprocessor's output."""
    model = training_model()
    clips, samples = images(1, 2), boxes(2, num_frames=2)
    with fixed_points():
        direct, by_mode = model.loss(clips, samples), model(clips, samples, mode='loss')
    total, _ = model.parse_losses(by_mode)
    assert total.item() == pytest.approx(sum(x.item() for x in direct.values()), rel=1e-5)
