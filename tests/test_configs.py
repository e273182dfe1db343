"""Every config trains a step and tests a video, shrunk; names and inheritance keep promises."""

import math
import re
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner
from yapf.yapflib import yapf_api

from axialvs.datasets.class_lists import resolve_class_list
from generated_videos import write_videos
from shrunk_configs import build_for_names, read_videos, shrink
from tiny_segmenter import randomise

CONFIGS = Path(__file__).parents[1] / 'configs'
ALL = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.glob('*/*.py')
    if path.parent.name != '_base_'
)
NAME = re.compile(
    r'(tube-link|axialvs-(wc|cc)|video-kmax)_[a-z0-9-]+_\d+xb\d+-[a-z0-9-]+_[a-z0-9-]+'
    r'(_release|_holdout)?'
)
# Every network and every kind of data runs once; YouTube-VIS 2019 and 2022 differ from 2021 by
# numbers of classes and files, Swin-L on OVIS from R50 by its backbone.
RUN = [name for name in ALL if not re.search('youtubevis20(19|22)|swin-l.*_ovis|_holdout', name)]
# Releases of a method change more than the method.
WITHIN_CLIP = [n for n in ALL if 'axialvs-wc' in n and not re.search('_(release|holdout).py', n)]


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('videos') / 'videos', [5, 4])


@pytest.fixture(autouse=True)
def _configs_are_printed_as_they_are(monkeypatch):
    """mmengine's runner prints and formats its config six times, which takes seconds."""
    monkeypatch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, True))


def shrunk_config(name: str) -> Config:
    config = Config.fromfile(CONFIGS / name)
    shrink(config)
    return config


@pytest.mark.parametrize('name', ALL)
def test_names_say_method_backbone_schedule_and_data(name):
    assert NAME.fullmatch(Path(name).stem)


@pytest.mark.parametrize('name', WITHIN_CLIP)
def test_without_the_tracking_module_the_baseline_is_left(name):
    """The model of a within-clip config is its Tube-Link baseline's but for the module."""
    config = Config.fromfile(CONFIGS / name)
    stem = Path(name).stem.replace('axialvs-wc', 'tube-link')
    data = stem.rsplit('_', 1)[1].replace('cococlips', 'youtubevis2021')  # the same classes
    (baseline,) = (CONFIGS / 'tube_link').glob(f'{stem.split("xb")[0]}*_{data}.py')
    assert config.model.panoptic_head.pixel_decoder.pop('trajectory').num_levels == 2
    assert config.model.to_dict() == Config.fromfile(baseline).model.to_dict()


@pytest.mark.parametrize('name', sorted(set(ALL) - set(RUN)))
def test_configs_that_are_not_run_are_built_and_fit_their_classes(name):
    config = Config.fromfile(CONFIGS / name)
    model = build_for_names(config.model)
    classes = resolve_class_list(config.train_dataloader.dataset.classes)
    assert classes == resolve_class_list(config.test_dataloader.dataset.classes)
    assert model.num_classes == len(classes)
    assert len(config.model.panoptic_head.loss_cls.class_weight) == len(classes) + 1


@pytest.mark.parametrize('method', ['tube-link', 'axialvs-wc', 'axialvs-cc'])
@pytest.mark.parametrize('backbone', ['r50', 'swin-l'])
@pytest.mark.parametrize('data', ['youtubevis2019', 'youtubevis2021', 'youtubevis2022', 'ovis'])
def test_schedule_of_every_model_of_the_family(method, backbone, data):
    """Tube-Link's iterations and steps for the near-online models, one schedule for offline."""
    schedule = '15k' if backbone == 'r50' and data != 'ovis' else '10k'
    steps = [5_000, 10_000] if schedule == '15k' else [2_500, 5_000]
    if method == 'axialvs-cc':
        schedule, steps = '10k', [2_500, 7_500]
    folder = 'tube_link' if method == 'tube-link' else 'axialvs'
    path = CONFIGS / folder / f'{method}_{backbone}_8xb1-{schedule}_{data}.py'
    config = Config.fromfile(path)
    warm_up, decay = config.param_scheduler
    assert (warm_up.start_factor, warm_up.end) == (0.001, 500)
    assert (decay.milestones, decay.gamma) == (steps, 0.1)
    assert config.train_cfg.max_iters == decay.end == int(schedule[:-1]) * 1000
    if method == 'axialvs-cc':
        start = Path(config.load_from)
        (source,) = (CONFIGS / 'axialvs').glob(f'{start.parent.name}.py')
        iterations = Config.fromfile(source).train_cfg.max_iters
        assert start.name == f'iter_{iterations}.pth'


@pytest.mark.parametrize('name', RUN)
def test_one_training_step_and_one_test(name, split, tmp_path):
    config = shrunk_config(name)
    read_videos(config, split, tmp_path)
    config.work_dir = str(tmp_path / 'run')
    config.update(experiment_name=name.replace('/', '_'), log_level='WARNING')
    runner = Runner.from_cfg(config)
    runner.model.init_weights()
    randomise(runner.model)  # at their initialisation some parts have no effect
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    # The first step of a warm-up is too small for some weights; the optimiser's mean is not.
    moments = runner.optim_wrapper.optimizer.state
    learnt = {
        key: parameter in moments and moments[parameter]['exp_avg'].any().item()
        for key, parameter in runner.model.named_parameters()
        if parameter.requires_grad
    }
    assert [key for key in learnt if not learnt[key]] == []
    assert all(torch.isfinite(parameter).all() for parameter in runner.model.parameters())
    moved = {k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])}
    assert moved <= learnt.keys()
    assert len(moved) > 0.5 * len(learnt)  # the others by less than their own rounding
    assert (tmp_path / 'run' / 'iter_1.pth').is_file()

    metrics = runner.test()
    assert {'youtube_vis/AP', 'youtube_vis/AR10'} <= metrics.keys()
    assert all(-1 <= value <= 1 and math.isfinite(value) for value in metrics.values())
    assert (tmp_path / 'test.zip').is_file()


def test_learning_rates_and_weight_decay_of_the_release(tmp_path):
    """R50 with the module: the backbone learns ten times slower, queries and norms do not decay,
    but those of the module do."""
    config = shrunk_config('axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021.py')
    config.update(work_dir=str(tmp_path), experiment_name='groups', log_level='WARNING')
    runner = Runner.from_cfg(config)
    groups = runner.build_optim_wrapper(runner.optim_wrapper).optimizer.param_groups
    name_of = {id(p): key for key, p in runner.model.named_parameters()}
    settings = {
        name_of[id(p)]: (group['lr'], group['weight_decay'])
        for group in groups
        for p in group['params']
    }
    rate, decay = 1e-4, 0.05
    encoder = 'panoptic_head.pixel_decoder.encoder.layers.0'
    expected = {
        'backbone.conv1.weight': (rate / 10, decay),
        'panoptic_head.query_feat.weight': (rate, 0),
        'panoptic_head.query_embed.weight': (rate, 0),
        'panoptic_head.level_embed.weight': (rate, 0),
        f'{encoder}.norms.0.weight': (rate, 0),
        f'{encoder}.self_attn.value_proj.weight': (rate, decay),
        f'{encoder}.self_attn.gamma': (rate, decay),
        f'{encoder}.self_attn.temporal_layer.layers.0.norm1.weight': (rate, decay),
        f'{encoder}.self_attn.temporal_layer.layers.0.linear1.weight': (rate, decay),
        'panoptic_head.pixel_decoder.level_encoding_3d.weight': (rate, decay),
        'panoptic_head.pixel_decoder.level_encoding.weight': (rate, decay),
    }
    for key, values in expected.items():
        assert settings[key] == pytest.approx(values), key
