"""Every shrunk config trains a step and tests a video; names and inheritance are consistent."""

import math
import re
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner

from axialvs.datasets.class_names import resolve_class_list
from config_files import ALL, CONFIGS, EVERY, depth_of, load
from generated_videos import write_videos
from shrunk_configs import build_for_names, read_videos, shrink
from tiny_segmenter import randomize

NAME = re.compile(
    r'(tube-link|(video-)?kmax|axialvs-(wc|cc)(-kmax)?)_[a-z0-9-]+_\d+xb(?P<batch>\d+)'
    r'-(?P<iterations>\d+)(?P<thousands>k?)(-[a-z0-9-]+)?_[a-z0-9-]+'
    r'(_release|_holdout)?'
)


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('videos') / 'videos', [5, 4])


def shrunk_config(name: str) -> Config:
    config = load(name)
    shrink(config)
    return config


@pytest.mark.parametrize('name', EVERY)
def test_names_state_method_backbone_schedule_and_data(name):
    said, config = NAME.fullmatch(Path(name).stem), load(name)
    assert said
    assert config.train_dataloader.batch_size == int(said['batch'])
    iterations = int(said['iterations']) * (1000 if said['thousands'] else 1)
    assert config.train_cfg.max_iters == iterations


@pytest.mark.parametrize('name', [name for name in EVERY if '_tiny_' in name])
def test_tiny_models_run_on_one_thread(name):
    assert load(name).num_threads == 1


@pytest.mark.parametrize('name', EVERY)
def test_at_most_four_files_deep(name):
    assert depth_of(CONFIGS / name) <= 4


def builds_and_fits_its_classes(config: Config) -> None:
    model = build_for_names(config.model)
    if config.train_dataloader.dataset.get('classes') is None:  # classes are read from the files
        return
    classes = resolve_class_list(config.train_dataloader.dataset.classes)
    assert classes == resolve_class_list(config.test_dataloader.dataset.classes)
    assert model.num_classes == len(classes)
    assert len(config.model.panoptic_head.loss_cls.class_weight) == len(classes) + 1


@pytest.mark.parametrize('name', ALL)
def test_one_training_step_and_one_test(name, split, tmp_path):
    builds_and_fits_its_classes(load(name))
    config = shrunk_config(name)
    read_videos(config, split, tmp_path)
    config.work_dir = str(tmp_path / 'run')
    config.update(experiment_name=name.replace('/', '_'), log_level='WARNING')
    runner = Runner.from_cfg(config)
    runner.model.init_weights()
    randomize(runner.model)  # some parts have no effect at initialization
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    # The first warm-up step is too small to change some weights, but not the optimizer's mean.
    moments = runner.optim_wrapper.optimizer.state
    learned = {
        key: parameter in moments and moments[parameter]['exp_avg'].any().item()
        for key, parameter in runner.model.named_parameters()
        if parameter.requires_grad
    }
    assert [key for key in learned if not learned[key]] == []
    assert all(torch.isfinite(parameter).all() for parameter in runner.model.parameters())
    moved = {k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])}
    assert moved <= learned.keys()
    assert len(moved) > 0.5 * len(learned)  # others change by less than their rounding
    assert (tmp_path / 'run' / 'iter_1.pth').is_file()

    metrics = runner.test()
    short_and_long = '_youtubevis2022' in name and not name.endswith('_holdout.py')
    for kind in ('_short', '_long') if short_and_long else ('',):
        assert {f'youtube_vis/AP{kind}', f'youtube_vis/AR10{kind}'} <= metrics.keys()
    assert all(-1 <= value <= 1 and math.isfinite(value) for value in metrics.values())
    assert (tmp_path / 'test_results.zip').is_file()


def test_submission_files_are_documented():
    page = (CONFIGS.parent / 'docs' / 'submit.md').read_text()
    rows = re.findall(r'^\| [^|]+ \| `(\S+)` \| `(\S+)\.zip`', page, re.MULTILINE)
    assert len(rows) == 4
    for name, written in rows:
        evaluator = load(f'axialvs/{name}.py').test_evaluator
        assert evaluator.format_only
        assert evaluator.outfile_prefix == f'work_dirs/{written}'
