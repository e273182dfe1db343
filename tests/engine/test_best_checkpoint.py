"""The best checkpoint survives worse scores, checkpoint rotation and restarts."""

from mmengine.registry import METRICS
from mmengine.runner import Runner
from tiny_run import TinyMetric, tiny_config

from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.engine.resuming import find_resume_checkpoint

# The tiny model's sum rises in every iteration, so with this rule the first score is the best.
LOWEST = dict(
    train_cfg__val_interval=2,
    default_hooks__checkpoint__save_best='tiny/sum',
    default_hooks__checkpoint__rule='less',
    default_hooks__checkpoint__max_keep_ckpts=1,
)


def names(folder) -> set[str]:
    return {path.name for path in (folder / 'run').glob('*.pth*')}


def test_best_survives_worse_scores_and_rotation(tmp_path):
    Runner.from_cfg(tiny_config(tmp_path, **LOWEST)).train()
    assert names(tmp_path) == {'best_tiny_sum_iter_2.pth', 'iter_6.pth'}
    best = load_checkpoint_safely(tmp_path / 'run' / 'best_tiny_sum_iter_2.pth')
    assert best['meta']['iter'] == 2
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_6.pth'


def test_resumed_run_compares_with_the_previous_best(tmp_path):
    Runner.from_cfg(tiny_config(tmp_path, **LOWEST, train_cfg__max_iters=4)).train()
    config = tiny_config(tmp_path, **LOWEST, resume=True)
    config.load_from = str(find_resume_checkpoint(tmp_path / 'run'))
    config.experiment_name = 'resumed'
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.iter == 6
    assert names(tmp_path) == {'best_tiny_sum_iter_2.pth', 'iter_6.pth'}


@METRICS.register_module(force=True)
class TinyPrecision(TinyMetric):
    """A metric that falls in every iteration; by its name, higher is better."""

    def compute_metrics(self, results: list) -> dict:
        return {'AP': -results[0]}


def test_common_metric_needs_no_rule(tmp_path):
    config = tiny_config(
        tmp_path,
        train_cfg__val_interval=2,
        default_hooks__checkpoint__save_best='auto',
        default_hooks__checkpoint__interval=100,
    )
    config.val_evaluator.type = 'TinyPrecision'
    Runner.from_cfg(config).train()
    assert 'best_tiny_AP_iter_2.pth' in names(tmp_path)
    assert not any('iter_4' in name for name in names(tmp_path))
