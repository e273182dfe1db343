"""Interrupted and resumed trainings of panoptic models equal uninterrupted ones bit by bit."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.datasets.moving_shapes import generate_dataset
from axialvs.engine.runner import SafeRunner
from config_files import load
from tiny_segmenter import PANOPTIC, tiny_config

KMAX = 'axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py'
ITERATIONS = 4


@HOOKS.register_module(force=True)
class BreakOffHook(Hook):
    """A hook that ends the training in the third iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos') / 'panoptic'
    return generate_dataset(folder, 'panoptic', 3, 1, num_frames=6, size=(96, 64))


def train(name, videos, folder, **options):
    """Train with all stateful parts: shuffling, copy-paste, sampling, dropout, schedule."""
    config = tiny_config(name) if name == PANOPTIC else load(name)
    if name == KMAX:
        config.model.data_preprocessor.pad_size = (65, 97)
        config.model.panoptic_head.within_clip.temporal_layer.dropout = 0.1
    config.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=1)
    config.train_dataloader.dataset.data_root = f'{videos}/'
    config.update(val_dataloader=None, val_evaluator=None, val_cfg=None, load_from=None, **options)
    config.train_cfg.update(max_iters=ITERATIONS, val_begin=ITERATIONS + 1)
    config.default_hooks.checkpoint = dict(type='AtomicCheckpointHook', by_epoch=False, interval=2)
    config.update(
        work_dir=str(folder),
        experiment_name=f'{folder.name}_{len(options)}_{len(name)}',
        log_level='ERROR',
        randomness=dict(seed=5),
    )
    SafeRunner.from_cfg(config).train()
    return load_checkpoint_safely(folder / f'iter_{ITERATIONS}.pth')


@pytest.mark.parametrize('name', [PANOPTIC, KMAX], ids=['tube-link', 'video-kmax'])
def test_resumed_training_matches_an_uninterrupted_one(name, videos, tmp_path):
    whole = train(name, videos, tmp_path / 'whole')
    broken = tmp_path / 'broken'
    with pytest.raises(KeyboardInterrupt):
        train(name, videos, broken, custom_hooks=[dict(type='BreakOffHook')])
    start = load_checkpoint_safely(broken / 'iter_2.pth')['state_dict']
    resumed = train(name, videos, broken, resume=True)
    for key, value in whole['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][key]), key
    for number, state in whole['optimizer']['state'].items():
        assert torch.equal(state['exp_avg'], resumed['optimizer']['state'][number]['exp_avg'])
    assert any(not torch.equal(value, start[key]) for key, value in whole['state_dict'].items())
