"""Training compared with the public release: losses, full steps with gradients, optimizer."""

import json
import zlib

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.structures import InstanceData
from parity_files import FOLDER, KEYS
from release_weights import release_weight

from axialvs.checkpoints.release_names import rename_release_tensor
from axialvs.models.cross_clip_refiner import CrossClipRefiner
from axialvs.structures import ClipFeatures
from tiny_segmenter import CONFIGS

WITHIN_CLIP = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021_release.py'
CROSS_CLIP = 'axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021_release.py'
NUM_CLASSES, NUM_QUERIES = 5, 20
CLASS_WEIGHT = [1.0] * NUM_CLASSES + [0.1]
# Not compared: this bias is added to the logits of a softmax, so its gradient is rounding only.
NO_GRADIENT = 'panoptic_head.activation_proj.bias'


def pinned_rand(*shape, device=None):
    """Return random numbers that depend only on the shape."""
    shape = shape[0] if isinstance(shape[0], tuple) else shape
    draw = np.random.RandomState(zlib.crc32('x'.join(map(str, shape)).encode()))
    return torch.from_numpy(draw.random_sample(shape).astype(np.float32))


@pytest.fixture(autouse=True)
def _pinned_points(monkeypatch):
    monkeypatch.setattr(torch, 'rand', pinned_rand)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def release_names():
    """Return the release's name by our name for all tensors of the offline R50 model."""
    return {
        rename_release_tensor(x): x for x in json.loads((KEYS / 'offline_r50.json').read_text())
    }


def fill(module, names, prefix=''):
    """Set the weights of a module by the fixtures' rule."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not name.endswith('num_batches_tracked'):
                tensor.copy_(release_weight(names[prefix + name], tuple(tensor.shape)))
    return module.eval()


def build_head(names, num_points=256):
    config = Config.fromfile(CONFIGS / CROSS_CLIP).model
    config.panoptic_head.update(num_things_classes=NUM_CLASSES, num_queries=NUM_QUERIES)
    config.panoptic_head.loss_cls.class_weight = CLASS_WEIGHT
    config.train_cfg.num_points = num_points
    head = MODELS.build({**config.panoptic_head, 'train_cfg': config.train_cfg})
    return fill(head, names, 'panoptic_head.')


def record_assignments(head, monkeypatch):
    """Collect the matched object of each query, or -1, of every matching."""
    assigned = []
    assign = head.assigner.assign

    def recorded(*args, **kwargs):
        result = assign(*args, **kwargs)
        assigned.append(result.gt_inds - 1)
        return result

    monkeypatch.setattr(head.assigner, 'assign', recorded)
    return assigned


def objects(data, *names):
    return [InstanceData(labels=data[f'labels{x}'], masks=data[f'masks{x}']) for x in names]


def read(name):
    """Read a fixture with arrays as tensors and names as strings."""
    with np.load(FOLDER / f'{name}.npz') as arrays:
        return {
            key: array.tolist() if array.dtype.kind == 'U' else torch.from_numpy(np.array(array))
            for key, array in arrays.items()
        }


def part(data, prefix):
    return {x.removeprefix(prefix): y for x, y in data.items() if x.startswith(prefix)}


def assert_losses(ours, data, tolerance):
    expected = part(data, 'losses/')
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            ours[name].detach().reshape(()), value, rtol=tolerance, atol=tolerance
        )


CLIP_CASES = {
    'two_clips': ('_a', '_b'),
    'one_clip': ('_a',),
    'with_empty': ('_a', '_empty'),
    'only_empty': ('_empty', '_empty'),
    'two_clips_12544': ('_a', '_b'),
}


@pytest.mark.parametrize('case', CLIP_CASES)
def test_clip_losses(case, release_names, monkeypatch):
    data = part(read('tube_link_losses'), 'clip/')
    expected = part(data, f'{case}/')
    head = build_head(release_names, 12544 if case.endswith('12544') else 256)
    assigned = record_assignments(head, monkeypatch)
    clips = CLIP_CASES[case]
    class_logits = [x[: len(clips)].float().requires_grad_() for x in data['class_logits']]
    mask_logits = [x[: len(clips)].float().requires_grad_() for x in data['mask_logits']]
    losses = head.video_loss(class_logits, mask_logits, objects(data, *clips))
    assert_losses(losses, expected, 1e-6)
    total = sum(losses.values())
    torch.testing.assert_close(total.detach().reshape(()), expected['total'], rtol=1e-6, atol=1e-6)
    assert torch.equal(
        torch.stack(assigned).view(-1, len(clips), NUM_QUERIES), expected['assigned'].long()
    )
    total.backward()
    torch.testing.assert_close(
        class_logits[-1].grad, expected['grad_class_logits'], rtol=1e-5, atol=1e-7
    )
    gradient = mask_logits[-1].grad
    rows = expected['grad_mask_rows'].long()
    torch.testing.assert_close(
        gradient[rows[:, 0], rows[:, 1]], expected['grad_mask_logits'], rtol=1e-4, atol=1e-7
    )
    gradient[rows[:, 0], rows[:, 1]] = 0
    assert not gradient.any()


def assert_gradients(module, data, names, prefix=''):
    """Assert equal norms, and equal first values relative to them."""
    norms, values = part(data, 'grad_norm/'), part(data, 'grad/')
    gradients = {names[prefix + x]: y.grad for x, y in module.named_parameters()}
    assert norms
    for name, norm in norms.items():
        if name == NO_GRADIENT or norm < 1e-4:
            continue
        gradient = gradients[name]
        torch.testing.assert_close(
            gradient.norm(), torch.as_tensor(norm, dtype=torch.float32), rtol=1e-3, atol=0, msg=name
        )
        first = values[name].flatten()
        assert (gradient.flatten()[: len(first)] - first).abs().max() < 1e-3 * norm, name
    for name in data['no_grad']:
        gradient = gradients.get(str(name))
        assert gradient is None or not gradient.any(), name


def test_video_losses(release_names, monkeypatch):
    data = part(read('tube_link_losses'), 'video/')
    head = build_head(release_names)
    head.transformer_decoder.requires_grad_(False)  # frozen by the segmenter
    assigned = record_assignments(head, monkeypatch)
    clips = [
        ClipFeatures(queries[None], queries[None], features[None])
        for queries, features in zip(
            data['queries'].float(), data['mask_features'].float(), strict=True
        )
    ]
    losses = CrossClipRefiner(head).loss(clips, objects(data, ''))
    assert_losses(losses, data, 1e-5)
    assert torch.equal(torch.stack(assigned), data['assigned'].long())
    sum(losses.values()).backward()
    assert_gradients(head, data, release_names, 'panoptic_head.')


@pytest.mark.parametrize(
    ('fixture', 'config'),
    [('tube_link_step_wc', WITHIN_CLIP), ('tube_link_step_cc', CROSS_CLIP)],
    ids=['near-online', 'offline'],
)
def test_full_training_step(fixture, config, release_names, monkeypatch):
    data = read(fixture)
    model = MODELS.build(Config.fromfile(CONFIGS / config).model)
    fill(model, release_names)
    head = model.panoptic_head
    assigned = record_assignments(head, monkeypatch)
    monkeypatch.setattr(head, 'collate_targets', lambda sample, device: sample)
    frames = data['frames'].float()
    losses = model.loss(frames, objects(data, *(f'/{b}' for b in range(len(frames)))))
    total = sum(losses.values())
    torch.testing.assert_close(total.detach().reshape(()), data['total'], rtol=1e-5, atol=1e-5)
    assert_losses(losses, data, 1e-4)
    assert torch.equal(torch.stack(assigned), data['assigned'].long())
    total.backward()
    assert_gradients(model, data, release_names)


RELEASE_CONFIGS = {
    'wc': WITHIN_CLIP,
    'cc': CROSS_CLIP,
    'ovis_wc': 'axialvs/axialvs-wc_r50_8xb1-15k_ovis_release.py',
    'ovis_cc': 'axialvs/axialvs-cc_r50_8xb1-10k_ovis_release.py',
    'swin_wc': 'axialvs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021_release.py',
    'swin_cc': 'axialvs/axialvs-cc_swin-l_8xb1-10k_youtubevis2021_release.py',
}


@pytest.mark.parametrize('case', RELEASE_CONFIGS)
def test_optimizer(case):
    expected = json.loads((FOLDER / 'tube_link_optimizer.json').read_text())[case]
    config = Config.fromfile(CONFIGS / RELEASE_CONFIGS[case])
    if 'swin' in case:  # names and groups do not depend on the width
        config.model.backbone.update(embed_dims=8, num_heads=(1, 1, 1, 1))
        config.model.panoptic_head.in_channels = [8, 16, 32, 64]
    model = MODELS.build(config.model)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups: dict[str, set] = {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group['params']:
            if parameter.requires_grad:
                key = f'{group["lr"]:g}|{group["weight_decay"]:g}'
                groups.setdefault(key, set()).add(names[parameter])
    theirs: dict[str, set] = {}
    for key, group in expected['groups_by_lr_wd_trained'].items():
        rate, decay, trained = key.split('|')
        if int(trained):
            theirs[f'{float(rate):g}|{float(decay):g}'] = {rename_release_tensor(x) for x in group}
    assert groups == theirs
    defaults = wrapper.optimizer.defaults
    for key in ('lr', 'weight_decay', 'eps', 'betas'):
        assert defaults[key] == pytest.approx(expected['optimizer'][key]), key
    clip = expected['grad_clip']['grad_clip']
    assert dict(config.optim_wrapper.clip_grad) == clip
    assert config.train_cfg.max_iters == expected['max_iters']
    assert_schedule(config, {int(x): y for x, y in expected['lrs'].items()}, defaults['lr'])


def assert_schedule(config, rates, base):
    """Compare learning rates at selected iterations."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    schedulers = [
        PARAM_SCHEDULERS.build({**x, 'optimizer': optimizer}) for x in config.param_scheduler
    ]
    for iteration in range(max(rates) + 1):
        if iteration in rates:
            assert optimizer.param_groups[0]['lr'] == pytest.approx(rates[iteration], rel=1e-9)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
