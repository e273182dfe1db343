"""The release's near-online R50 network with converted weights."""

import json
from pathlib import Path

import pytest
import torch
from release_weights import release_weight

from axialvs.apis import init_segmenter
from forked import run_tool

ROOT = Path(__file__).parents[2]
KEYS = ROOT / 'tests' / 'data' / 'release_keys' / 'near_online_r50.json'
CONFIG = ROOT / 'configs' / 'axialvs' / 'axialvs-wc_r50_8xb1-15k_youtubevis2021_release.py'

# Tolerances, as in tests/data/parity: all outputs before the decoder, and after it all but a few
# queries, which a single bit of an attention mask can change.
TOLERANCE, LOOSE_TOLERANCE = 1e-3, 1e-1
FIRST_TOLERANCE = 1e-4
MIN_CLOSE_QUERIES = 97
HALF_STEP = 2.0**-10  # relative rounding of what is stored as float16


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the model with a release checkpoint by the weight rule, converted and loaded."""
    folder = tmp_path_factory.mktemp('release')
    shapes = json.loads(KEYS.read_text())
    weights = {
        name: torch.tensor(0)
        if name.endswith('num_batches_tracked')
        else release_weight(name, tuple(shape))
        for name, shape in shapes.items()
    }
    torch.save({'meta': {}, 'state_dict': weights}, folder / 'release.pth')
    files = folder / 'release.pth', folder / 'converted.pth'
    result = run_tool('model_converters/convert_release.py', '--quiet', *files)
    assert result.code == 0, result.output
    assert f'mapped all {len(shapes)} tensors' in result.output
    return init_segmenter(CONFIG, folder / 'converted.pth', 'cpu')


def deviations(ours, theirs, is_half=False):
    """Return the largest difference of each query (Q,), in units of the output's scale."""
    scale = theirs.abs().max()
    difference = (ours - theirs).abs()
    if is_half:
        difference = (difference - HALF_STEP * theirs.abs()).clamp(min=0)
    return difference.flatten(1).amax(1) / scale


@torch.no_grad()
def test_backbone_statistics(model, fixture_data):
    data = fixture_data('near_online_r50_clip')
    features = model.backbone(data['frames'].float())
    means = torch.stack([x.mean() for x in features]).double()
    deviation = torch.stack([x.std(unbiased=False) for x in features]).double()
    torch.testing.assert_close(means, data['feat_mean'], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(deviation, data['feat_std'], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_prediction_before_the_decoder(model, fixture_data):
    data = fixture_data('near_online_r50_clip')
    frames = data['frames'].float()
    decoding = model.panoptic_head(model.backbone(frames), len(frames))
    class_logits, masks = decoding.class_logits[0][0], decoding.mask_logits[0][0]
    assert deviations(class_logits, data['cls_logits_first'][0]).max() < FIRST_TOLERANCE
    expected = data['mask_logits_first'][0].float().transpose(0, 1)
    first = masks[: len(expected)]
    assert deviations(first, expected, is_half=True).max() < FIRST_TOLERANCE


def test_prediction_after_the_decoder(model, fixture_data):
    data = fixture_data('near_online_r50_clip')
    prediction = model.predict_clip(data['frames'].float())
    errors = {
        'class_logits': deviations(prediction.class_logits, data['cls_logits'][0]),
        'queries': deviations(prediction.queries, data['queries'][0]),
        'mask_logits': deviations(
            prediction.mask_logits, data['mask_logits'][0].float().transpose(0, 1), is_half=True
        ),
    }
    worst = torch.stack(list(errors.values())).amax(0)
    assert (worst < TOLERANCE).sum() >= MIN_CLOSE_QUERIES
    assert worst.max() < LOOSE_TOLERANCE
