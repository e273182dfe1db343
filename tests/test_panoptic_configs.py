"""The configs of panoptic models: classes, schedules, and a step of the tiny ones."""

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner

from axialvs.datasets.moving_shapes import generate_dataset
from config_files import PANOPTIC, load
from shrunk_configs import build_for_names

SCHEDULES = json.loads(
    (Path(__file__).parent / 'data' / 'parity' / 'kmax_optimizer.json').read_text()
)['schedule']
NUM_CLASSES = {'vipseg': 124, 'coco': 133, 'movingshapes-panoptic': 9}
TINY = [name for name in PANOPTIC if '_tiny_' in name]


@pytest.mark.parametrize('name', PANOPTIC)
def test_classes_and_frozen_parameters(name):
    config = load(name)
    model = build_for_names(config.model)
    data = Path(name).stem.removesuffix('_release').split('_')[-1]
    assert model.num_classes == NUM_CLASSES[data]
    assert model.finisher.thing_labels == set(config.thing_labels)
    trained = {x.split('.')[1] for x, p in model.named_parameters() if p.requires_grad}
    if 'axialvs-cc' in name:
        # The tiny model trains too briefly for the statistics of the predictors' batch norm.
        predictors = set() if '_tiny_' in name else {'video_predictor'}
        assert trained == {'cross_clip'} | predictors
        frames = config.train_dataloader.dataset.num_frames
        assert frames % config.model.clip_length == 0
    else:
        assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ('name', 'schedule'),
    [
        ('axialvs/axialvs-wc-kmax_r50_16xb2-40k_vipseg.py', '40000/2000'),
        ('axialvs/axialvs-wc-kmax_convnext-l_16xb2-30k_vipseg.py', '30000/1500'),
        ('axialvs/axialvs-cc-kmax_r50_8xb2-15k_vipseg.py', '15000/750'),
        ('video_kmax/kmax_r50_32xb2-150k_coco.py', '150000/5000'),
    ],
)
def test_learning_rates_match_the_release(name, schedule):
    config = load(name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(settings, optimizer=optimizer))
        for settings in config.param_scheduler
    ]
    max_iters, warmup_iters = map(int, schedule.split('/'))
    assert config.train_cfg.max_iters == max_iters
    optimizer.step()
    rates = []
    for _ in range(max_iters):
        rates.append(optimizer.param_groups[0]['lr'])
        for scheduler in schedulers:
            scheduler.step()
    for iteration, factor in SCHEDULES[schedule].items():
        # Here both factors apply in the warm-up; the release multiplies only after it, with a drop.
        tolerance = 0.046 if int(iteration) < warmup_iters else 1e-5
        assert rates[int(iteration)] == pytest.approx(factor, rel=tolerance)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos') / 'panoptic'
    return generate_dataset(folder, 'panoptic', 2, 1, num_frames=6)


@pytest.mark.parametrize('name', TINY)
def test_one_training_step_and_one_test(name, videos, tmp_path):
    config = load(name)
    for split in ('train', 'val', 'test'):
        loader = config[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=1)
        loader.dataset.data_root = f'{videos}/'
    if config.train_dataloader.dataset.get('num_frames'):
        config.train_dataloader.dataset.num_frames = 2 * config.model.clip_length
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.update(
            ann_file=str(videos / 'valid/panoptic.json'),
            mask_prefix=str(videos / 'valid/panomasksRGB'),
        )
    config.train_cfg.update(max_iters=1, val_begin=2)
    config.update(
        load_from=None,
        work_dir=str(tmp_path),
        experiment_name=Path(name).stem,
        log_level='WARNING',
    )
    runner = Runner.from_cfg(config)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    moved = [key for key, x in runner.model.named_parameters() if not torch.equal(x, before[key])]
    assert len(moved) > 0.5 * sum(x.requires_grad for x in runner.model.parameters())
    metrics = runner.test()
    assert {'panoptic/vpq', 'panoptic/stq'} <= metrics.keys()
    assert all(-1 <= value <= 100 and math.isfinite(value) for value in metrics.values())
