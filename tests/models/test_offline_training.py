"""Training of the offline segmenter: losses, gradients, frozen parts, end-to-end steps."""

import pytest
import torch
from torch import nn

from axialvs.checkpoints.key_mapping import adapt_state_dict
from axialvs.utils.errors import AxialVSError
from fixed_points import fixed_points
from tiny_offline import BLOCKS, END_TO_END, contained_near_online, tiny_offline
from training_clips import moving_boxes

HEIGHT, WIDTH = 64, 64
CLIP_LENGTH = 3
TERMS = ('loss_cls', 'loss_mask', 'loss_dice')
RELEASE_FROZEN = (
    'backbone.*',
    'panoptic_head.pixel_decoder.*',
    'panoptic_head.transformer_decoder.*',
    'panoptic_head.*_embed.weight',
    'panoptic_head.query_feat.*',
)


def images(batch, num_frames, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, num_frames, 3, HEIGHT, WIDTH, generator=rng)


def boxes(*numbers, num_frames):
    return [moving_boxes(n, num_frames, HEIGHT, WIDTH) for n in numbers]


def total(losses):
    return sum(losses.values())


def losses_and_gradients(model, videos, objects):
    """Use the same points for all masks, in double precision except for the losses."""
    model.double().train().zero_grad()
    with fixed_points():
        losses = model.loss(videos.double(), objects)
        total(losses).backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    return {name: value.detach() for name, value in losses.items()}, gradients


def assert_same_gradient(ours, theirs, name):
    """Compare to 1e-5 of the scale; gradients that are zero up to rounding may differ."""
    scale = max(theirs.abs().max().item(), 1e-4)
    assert (ours - theirs).abs().max().item() < 1e-5 * scale, name


@pytest.mark.parametrize('design', ['SelfAttention', 'VITA', 'none'])
def test_training_step_of_designs(design):
    """All parameters of a design are trained, and any video length gets logits of tracks."""
    options = {} if design == 'none' else dict(num_layers=1, num_heads=2)
    if design == 'VITA':
        with pytest.raises(AxialVSError, match=r'cross_clip\.num_queries is 100.* 6'):
            tiny_offline(panoptic_head=dict(cross_clip=dict(_delete_=True, type='VITA')))
        options['num_queries'] = 6
    cross_clip = dict(_delete_=True, type=design, **options)
    model = tiny_offline(panoptic_head=dict(cross_clip=cross_clip))
    num_frames = 2 * CLIP_LENGTH
    total(model.train().loss(images(1, num_frames), boxes(2, num_frames=num_frames))).backward()
    parameters = model.panoptic_head.cross_clip.parameters()
    assert all(x.grad is not None for x in parameters)
    prediction = model.eval().predict_video(images(1, 4)[0])
    assert prediction.mask_logits.shape[1:] == (4, HEIGHT // 4, WIDTH // 4)
    assert len(prediction.class_logits) == len(prediction.mask_logits)


@pytest.mark.parametrize('name', [None, END_TO_END], ids=['frozen', 'end to end'])
@pytest.mark.parametrize('num_clips', [1, 2])
def test_two_equal_videos_match_one(name, num_clips):
    model = tiny_offline(*[name] if name else [])
    num_frames = num_clips * CLIP_LENGTH
    videos, objects = images(2, num_frames), boxes(2, 2, num_frames=num_frames)
    together, gradients = losses_and_gradients(model, videos, objects)
    blocks = ('', *(f'd{i}.' for i in range(BLOCKS - 1)))
    assert together.keys() == {f'{block}{term}' for block in blocks for term in TERMS}
    alone = [losses_and_gradients(model, videos[i : i + 1], objects[i : i + 1]) for i in range(2)]
    for key, value in together.items():
        expected = sum(losses[key] for losses, _ in alone) / 2
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    for parameter, gradient in gradients.items():
        expected = sum(of_one[parameter] for _, of_one in alone) / 2
        assert_same_gradient(gradient, expected, parameter)


def step(model, num_frames=6):
    """Run a step of an optimizer whose weight decay also affects zero gradients."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    total(model.loss(images(1, num_frames), boxes(2, num_frames=num_frames))).backward()
    optimizer.step()
    return model.eval()


@torch.no_grad()
def encode(model):
    return model._encode(images(1, CLIP_LENGTH, seed=3))


def test_frozen_parameters_do_not_change():
    model = tiny_offline()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    features = encode(model)
    with torch.enable_grad():
        step(model)
    moved = {name for name, x in model.state_dict().items() if not torch.equal(x, before[name])}
    trained = ('panoptic_head.cross_clip.', 'panoptic_head.video_')
    expected = {name for name in before if name.startswith(trained)}
    # A softmax over clips is invariant to a constant added to all of them.
    assert expected - moved <= {'panoptic_head.cross_clip.clip_weight.bias'}
    assert not moved - expected
    assert all(torch.equal(a, b) for a, b in zip(encode(model), features, strict=True))


def test_clip_stage_of_the_release_changes():
    """Its trained mask layer sets the attention masks of the frozen clip stage."""
    model = tiny_offline(frozen=RELEASE_FROZEN, panoptic_head=dict(own_predictors=False))
    assert not any('video_' in name for name in model.state_dict())
    before = encode(model)
    step(model)
    after = encode(model)
    assert torch.equal(before.mask_features, after.mask_features)
    assert not torch.equal(before.queries, after.queries)


def test_frozen_parts_stay_in_eval_mode():
    model = tiny_offline().train()
    head = model.panoptic_head
    for part in (model.backbone, head.pixel_decoder, head.transformer_decoder, head.query_feat):
        assert not any(module.training for module in part.modules())
    assert head.cross_clip.training
    assert head.video_mask_embed.training
    assert not any(x.requires_grad for x in model._encode(images(1, CLIP_LENGTH)))


def test_trained_clip_stage_has_gradients():
    """With only the backbone frozen, the clip stage is trained."""
    model = tiny_offline(frozen=['backbone.*'], panoptic_head=dict(own_predictors=False)).train()
    assert not model.backbone.training
    assert model.panoptic_head.pixel_decoder.training
    total(model.loss(images(1, 3), boxes(1, num_frames=3))).backward()
    assert model.panoptic_head.query_feat.weight.grad.abs().max() > 0
    assert all(x.grad is None for x in model.backbone.parameters())


def key_part(grad, name):
    """Return the keys' part of the gradient of a joint projection."""
    if 'in_proj' in name or '.qkv.' in name:  # queries, keys, values
        return grad.chunk(3)[1]
    return grad.chunk(2)[0] if 'proj_kv' in name else grad


def test_every_parameter_has_a_gradient_end_to_end():
    """Only biases added to all keys or to all clip weights have zero gradients, since softmax
    is invariant to them."""
    unseen = ('.k.bias', 'proj_kv.bias', 'in_proj_bias', '.qkv.bias', 'clip_weight.bias')
    model = tiny_offline(END_TO_END)
    _, gradients = losses_and_gradients(model, images(1, 6), boxes(3, num_frames=6))
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, gradient in gradients.items():
        assert torch.isfinite(gradient).all(), name
        unseen_part = key_part(gradient, name)
        if name.endswith(unseen):
            assert unseen_part.abs().max() < 1e-6, name
        if not name.endswith(unseen) or unseen_part is not gradient:
            assert gradient.abs().max() > 1e-6, name


def test_recomputation_gives_the_same_gradients():
    videos, objects = images(2, 6), boxes(2, 1, num_frames=6)
    (kept, expected), (recomputed, gradients) = (
        losses_and_gradients(
            tiny_offline(END_TO_END, activation_checkpointing=recompute), videos, objects
        )
        for recompute in (False, True)
    )
    for key, loss in kept.items():
        torch.testing.assert_close(recomputed[key], loss, rtol=1e-6, atol=1e-6)
    for name, gradient in gradients.items():
        assert_same_gradient(gradient, expected[name], name)


def test_incomplete_clips_raise():
    with pytest.raises(AxialVSError, match=r'5 frames.* 3'):
        tiny_offline().train().loss(images(1, 5), boxes(1, num_frames=5))


def test_unmatched_pattern_raises():
    with pytest.raises(AxialVSError, match=r"'backbon\.\*'"):
        tiny_offline(frozen=['backbon.*'])


def test_predictors_without_a_loss_raise():
    with pytest.raises(AxialVSError, match='own_predictors=False'):
        tiny_offline(frozen=['backbone.*'])


def test_loading_near_online_weights():
    """Only the cross-clip module is missing; predictors of refined queries copy the clip head's."""
    model = tiny_offline()
    weights = contained_near_online(model).state_dict()
    fitting, report = adapt_state_dict(weights, model.state_dict())
    assert all(name.startswith('panoptic_head.cross_clip.') for name in report.missing)
    assert not report.unexpected
    other = tiny_offline()
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(fitting, strict=False)
    head = other.panoptic_head
    for video, clip in (
        (head.video_cls_embed, head.cls_embed),
        (head.video_mask_embed, head.mask_embed),
    ):
        pairs = zip(video.parameters(), clip.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        assert all(x.abs().max() > 0 for x in video.parameters())
