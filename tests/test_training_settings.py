"""Schedules, parameter groups and frozen parts of the full-size configs, parameter by parameter.

The tables list the training settings of the public release, on which the paper is based: iterations
and steps, and the factors on learning rate and weight decay of every parameter.
"""

import json
import re
from pathlib import Path

import pytest
from mmengine.optim import build_optim_wrapper

from config_files import ALL, CONFIGS, load
from shrunk_configs import build_for_names

FULL_SIZE = [name for name in ALL if re.search(r'_(r50|r101|swin-l)_8xb1-', name)]

# Config -> iterations, steps.
SCHEDULES = {
    r'axialvs-cc_(r50|swin-l)_.*': (10_000, [2_500, 7_500]),
    r'axialvs-wc_.*_ovis_release': (15_000, [5_000, 10_000]),
    r'(tube-link|axialvs-wc)_(r50|r101)_.*youtubevis.*': (15_000, [5_000, 10_000]),
    r'axialvs-wc_r50_.*-pretrain_cococlips': (15_000, [5_000, 10_000]),
    r'(tube-link|axialvs-wc)_swin-l_.*youtubevis.*': (10_000, [2_500, 5_000]),
    r'(tube-link|axialvs-wc)_(r50|swin-l)_.*_ovis(?!_release).*': (10_000, [2_500, 5_000]),
}

RATE, DECAY, CLIP = 1e-4, 0.05, 0.01

LAYER = r'layers\.\d+\.'
DECODER = r'panoptic_head\.pixel_decoder\.'
WITHIN_CLIP = rf'{DECODER}encoder\.{LAYER}self_attn\.temporal_layer\.{LAYER}'
CROSS_CLIP = rf'panoptic_head\.cross_clip\.{LAYER}'
QUERIES = r'panoptic_head\.(query_embed|query_feat|level_embed)\.weight'
# Parameter -> factors on learning rate and weight decay, in every config.
ALL_MODELS = {
    rf'{DECODER}(input|lateral|output)_convs\.\d\.conv\..*': (1, 1),
    rf'{DECODER}(input|lateral|output)_convs\.\d\.gn\..*': (1, 0),
    rf'{DECODER}(mask_feature\..*|level_encoding\.weight)': (1, 1),
    rf'{DECODER}encoder\.{LAYER}norms\..*': (1, 0),
    rf'{DECODER}encoder\.{LAYER}ffn\..*': (1, 1),
    rf'{DECODER}encoder\.{LAYER}self_attn\.(sampling_offsets|attention_weights)\..*': (1, 1),
    rf'{DECODER}encoder\.{LAYER}self_attn\.(value_proj|output_proj)\..*': (1, 1),
    rf'panoptic_head\.transformer_decoder\.{LAYER}(cross_attn|self_attn|ffn)\..*': (1, 1),
    rf'panoptic_head\.transformer_decoder\.({LAYER}norms|post_norm)\..*': (1, 0),
    r'panoptic_head\.(video_)?(cls|mask)_embed\..*': (1, 1),
    # The within-clip tracking module.
    rf'{DECODER}(encoder\.{LAYER}self_attn\.gamma|level_encoding_3d\.weight)': (1, 1),
    rf'{WITHIN_CLIP}(height_attn|width_attn|linear1|linear2)\..*': (1, 1),
    # The cross-clip tracking module.
    rf'{CROSS_CLIP}trajectory_attn\..*': (1, 1),
    rf'{CROSS_CLIP}temporal_aspp\.(convs|proj)\..*': (1, 1),
    rf'{CROSS_CLIP}(norm|aspp_norm)\..*': (1, 0),
    r'panoptic_head\.cross_clip\.clip_weight\..*': (1, 1),
}
# The release keys the tracking module's norms with ResNet only, and no norm of its backbone.
RESNET = {
    r'backbone\..*': (0.1, 1),
    QUERIES: (1, 0),
    rf'{WITHIN_CLIP}norm\d\..*': (1, 1),
}
SWIN = {
    r'backbone\.(patch_embed\.norm|norm\d)\..*': (0.1, 0),
    r'backbone\.stages\.\d\.(blocks\.\d+\.norm\d|downsample\.norm)\..*': (0.1, 0),
    r'backbone\..*\.relative_position_bias_table': (0.1, 0),
    r'backbone\.(patch_embed\.projection|stages\.\d\.downsample\.reduction)\..*': (0.1, 1),
    r'backbone\.stages\.\d\.blocks\.\d+\.(attn\.w_msa\.(qkv|proj)|ffn)\..*': (0.1, 1),
    QUERIES: (0.1, 0),
    rf'{WITHIN_CLIP}norm\d\..*': (1, 0),
}
# The release's custom norm class is not matched by its rule for norms.
ASPP_NORM = rf'{CROSS_CLIP}temporal_aspp\.norm\..*'

# Parts trained by offline configs; near-online and end-to-end configs train everything.
TRAINED_OFFLINE = r'panoptic_head\.(cross_clip|video_cls_embed|video_mask_embed)\..*'
TRAINED_OFFLINE_RELEASE = r'panoptic_head\.(cross_clip|cls_embed|mask_embed)\..*'


def rules_of(name: str) -> dict[str, tuple[float, float]]:
    release = Path(name).stem.endswith('_release')
    # Offline, the backbone is frozen and its rules have no effect.
    backbone = SWIN if '_swin-l_' in name and 'axialvs-cc' not in name else RESNET
    return {**ALL_MODELS, **backbone, ASPP_NORM: (1, 1 if release else 0)}


def trained_by(name: str) -> str:
    if 'axialvs-cc' not in name or 'end2end' in name:
        return '.*'
    return TRAINED_OFFLINE_RELEASE if Path(name).stem.endswith('_release') else TRAINED_OFFLINE


@pytest.mark.parametrize('name', FULL_SIZE)
def test_schedule(name):
    (schedule,) = (SCHEDULES[x] for x in SCHEDULES if re.fullmatch(x, Path(name).stem))
    iterations, steps = schedule
    config = load(name)
    warm_up, decay = config.param_scheduler
    assert (warm_up.start_factor, warm_up.begin, warm_up.end) == (0.001, 0, 501)
    assert (decay.milestones, decay.gamma, decay.begin) == (steps, 0.1, 0)
    assert not warm_up.by_epoch
    assert not decay.by_epoch
    assert config.train_cfg.max_iters == decay.end == iterations
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', RATE, DECAY)
    assert (optimizer.betas, optimizer.eps) == ((0.9, 0.999), 1e-8)
    assert config.optim_wrapper.clip_grad == dict(max_norm=CLIP, norm_type=2)
    assert config.train_dataloader.batch_size == 1
    if 'axialvs-cc' in name:
        start = Path(config.load_from)
        near_online = load(f'axialvs/{start.parent.name}.py')
        assert start.name == f'iter_{near_online.train_cfg.max_iters}.pth'


@pytest.fixture(scope='module')
def groups_of():
    """Return learning rate and weight decay by parameter, None if frozen, cached per model."""
    known = {}

    def look(name: str) -> dict[str, tuple[float, float] | None]:
        config = load(name)
        settings = (config.model.to_dict(), config.optim_wrapper.to_dict())
        key = json.dumps(_without_lengths(settings), sort_keys=True, default=str)
        if key not in known:
            known[key] = _groups(config)
        return known[key]

    return look


def _without_lengths(settings: object) -> object:
    """Remove settings that do not affect parameter names."""
    if isinstance(settings, dict):
        plain = ('test_cfg', 'clip_length', 'num_queries', 'num_things_classes', 'class_weight')
        return {k: _without_lengths(v) for k, v in settings.items() if k not in plain}
    return [*map(_without_lengths, settings)] if isinstance(settings, list | tuple) else settings


def _groups(config) -> dict[str, tuple[float, float] | None]:
    model = build_for_names(config.model)
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    settings = {
        id(parameter): (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    assert len(settings) == sum(len(group['params']) for group in optimizer.param_groups)
    return {
        name: settings[id(parameter)] if parameter.requires_grad else None
        for name, parameter in model.named_parameters()
    }


@pytest.mark.parametrize('name', FULL_SIZE)
def test_every_parameter_follows_one_rule(name, groups_of):
    rules, trained = rules_of(name), trained_by(name)
    wrong = []
    for parameter, setting in groups_of(name).items():
        factors = [rules[rule] for rule in rules if re.fullmatch(rule, parameter)]
        assert len(factors) == 1, f'{parameter} is under {len(factors)} rules'
        rate, decay = factors[0]
        expected = (rate * RATE, decay * DECAY) if re.fullmatch(trained, parameter) else None
        if setting != pytest.approx(expected):
            wrong.append((parameter, setting, expected))
    assert wrong == []


def test_every_rule_matches_a_parameter(groups_of):
    """A rule without a matching parameter would hide a misspelled name."""
    names = ('axialvs-cc_r50_8xb1-10k_youtubevis2021', 'axialvs-cc_swin-l_8xb1-10k_youtubevis2021')
    for name in (f'axialvs/{x}.py' for x in names):
        assert (CONFIGS / name).is_file()
        parameters = groups_of(name)
        for rule in rules_of(name):
            assert any(re.fullmatch(rule, parameter) for parameter in parameters), rule
