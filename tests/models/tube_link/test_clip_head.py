"""The clip head and its pixel decoder: clip sizes, dependencies, and parity with mmdet."""

import pytest
import torch
from mmdet.models.layers import MSDeformAttnPixelDecoder
from mmdet.registry import MODELS

from axialvs.models.tube_link.clip_head import attention_mask
from tiny_segmenter import CHANNELS, PLAIN, QUERIES, WITHIN_CLIP, tiny_config, tiny_segmenter

NUM_CLASSES = 5
LAYERS = 3


@pytest.fixture(scope='module', params=[PLAIN, WITHIN_CLIP], ids=['plain', 'within-clip'])
def model(request):
    return tiny_segmenter(request.param)


def frames(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def ceil_quarter(size):
    return -(-size // 4)


@pytest.mark.parametrize(
    ('batch', 'num_frames', 'height', 'width'),
    [(1, 1, 32, 32), (2, 3, 64, 96), (1, 2, 50, 75), (3, 1, 33, 40), (1, 7, 32, 64)],
)
@torch.no_grad()
def test_clip_and_batch_sizes(model, batch, num_frames, height, width):
    clips = frames(batch, num_frames, 3, height, width)
    head = model.panoptic_head
    decoding = head(model.backbone(clips.flatten(0, 1)), num_frames)
    size = ceil_quarter(height), ceil_quarter(width)
    assert len(decoding.class_logits) == len(decoding.mask_logits) == 1 + LAYERS
    assert {x.shape for x in decoding.class_logits} == {(batch, QUERIES, NUM_CLASSES + 1)}
    assert {x.shape for x in decoding.mask_logits} == {(batch, QUERIES, num_frames, *size)}
    assert decoding.queries.shape == (batch, QUERIES, CHANNELS)
    assert decoding.mask_features.shape == (batch, num_frames, CHANNELS, *size)


@torch.no_grad()
def test_clips_of_a_batch_are_independent(model):
    clips = frames(3, 2, 3, 64, 96)
    together = model._predict_clips(clips)
    for clip, of_batch in zip(clips, together, strict=True):
        alone = model.predict_clip(clip)
        for ours, theirs in zip(alone, of_batch, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@torch.no_grad()
def test_frames_of_a_clip_interact(model):
    clip = frames(3, 3, 64, 96)
    changed = clip.clone()
    changed[2] = frames(3, 64, 96, seed=1)
    before, after = model.predict_clip(clip), model.predict_clip(changed)
    assert not torch.allclose(before.mask_logits[:, 0], after.mask_logits[:, 0], atol=1e-3)


@torch.no_grad()
def test_last_layer_only_matches_the_last_of_all(model):
    feats = model.backbone(frames(2, 3, 64, 64))
    head = model.panoptic_head
    every, last = head(feats, 2), head(feats, 2, all_layers=False)
    assert len(last.class_logits) == len(last.mask_logits) == 1
    assert torch.equal(every.class_logits[-1], last.class_logits[0])
    assert torch.equal(every.mask_logits[-1], last.mask_logits[0])
    assert torch.equal(every.queries, last.queries)


@torch.no_grad()
def test_masks_are_products_of_queries_and_features(model):
    """Masks of all frames are products of one embedding of `queries` and the mask features."""
    head = model.panoptic_head
    decoding = head(model.backbone(frames(2, 3, 32, 32)), 2)
    embedding = head.mask_embed(head.transformer_decoder.post_norm(decoding.queries))[0]
    for t in range(2):
        features = decoding.mask_features[0, t]
        expected = (embedding @ features.flatten(1)).unflatten(1, features.shape[1:])
        torch.testing.assert_close(decoding.mask_logits[-1][0, :, t], expected)


def test_queries_attend_inside_their_masks():
    """A query without any mask in the clip attends everywhere; one with a mask in one frame only
    does not attend to the others."""
    logits = torch.full((1, 3, 2, 4, 4), -1.0)
    logits[0, 0, 1, :2, :2] = 3.0
    logits[0, 2] = 1.0
    features, embeddings = (
        logits.transpose(1, 2),
        torch.eye(3)[None],
    )  # logits = embedding x feature
    hidden = attention_mask(embeddings, features)
    assert hidden.shape == (1, 3, 2 * 4 * 4)
    first = ~hidden[0, 0].view(2, 4, 4)
    assert not first[0].any()
    assert first[1].nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert not hidden[0, 1:].any()


@torch.no_grad()
def test_masked_attention_matches_mmcv(model):
    """The decoder's attention equals mmcv's with the same mask for every head."""
    from mmcv.cnn.bricks.transformer import MultiheadAttention

    layer = model.panoptic_head.transformer_decoder.layers[0].cross_attn
    stock = MultiheadAttention(CHANNELS, layer.num_heads, batch_first=True).eval()
    stock.load_state_dict(layer.state_dict())
    query, memory = frames(2, QUERIES, CHANNELS), frames(2, 11, CHANNELS, seed=1)
    hidden = frames(2, QUERIES, 11, seed=2) > 0
    hidden[..., 0] = False
    position = dict(query_pos=frames(2, QUERIES, CHANNELS, seed=3))
    ours = layer(query, memory, memory, attn_mask=hidden, **position)
    theirs = stock(
        query,
        memory,
        memory,
        attn_mask=hidden.repeat_interleave(layer.num_heads, dim=0),
        **position,
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    changed = torch.where(hidden.all(1)[..., None], torch.tensor(1e3), memory)
    torch.testing.assert_close(layer(query, changed, changed, attn_mask=hidden, **position), ours)


@torch.no_grad()
def test_plain_pixel_decoder_matches_mmdet():
    config = tiny_config(PLAIN).model.panoptic_head
    ours = tiny_segmenter(PLAIN).panoptic_head.pixel_decoder
    stock = dict(config.pixel_decoder, type=MSDeformAttnPixelDecoder)
    stock.update(in_channels=config.in_channels, feat_channels=CHANNELS, out_channels=CHANNELS)
    theirs = MODELS.build(stock).eval()
    theirs.load_state_dict(ours.state_dict())
    feats = [
        frames(2, channels, 96 // stride, 64 // stride, seed=stride)
        for channels, stride in zip(config.in_channels, (4, 8, 16, 32), strict=True)
    ]
    mask_features, memory = ours(list(feats), num_frames=2)
    expected_features, expected_memory = theirs(feats)
    torch.testing.assert_close(mask_features, expected_features, rtol=0, atol=1e-4)
    for level, expected in zip(memory, expected_memory, strict=True):
        torch.testing.assert_close(level, expected, rtol=0, atol=1e-4)


def test_config_can_be_built_twice():
    """Building does not modify the config."""
    config = tiny_config()
    before = config.model.to_dict()
    first = MODELS.build(config.model)
    assert config.model.to_dict() == before
    assert first.state_dict().keys() == MODELS.build(config.model).state_dict().keys()


def test_initialization_leaves_tracking_small_and_sampling_in_a_ring():
    model = MODELS.build(tiny_config().model)
    model.init_weights()
    for layer in model.panoptic_head.pixel_decoder.encoder.layers:
        attention = layer.self_attn
        assert torch.equal(attention.gamma, torch.full_like(attention.gamma, 1e-6))
        assert not attention.sampling_offsets.weight.any()
        assert attention.sampling_offsets.bias.abs().max() == attention.num_points
        projection = attention.temporal_layer.layers[0].height_attn.q.weight
        assert projection.std().item() == pytest.approx(CHANNELS**-0.5, rel=0.2)  # Xavier
    positions = model.panoptic_head.pixel_decoder.level_encoding_3d.weight
    assert positions.std().item() == pytest.approx(1, abs=0.4)
