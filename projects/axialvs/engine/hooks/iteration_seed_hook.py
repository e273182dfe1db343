"""Seed each iteration, so that random draws depend on the run's seed and the iteration only."""

from mmdet.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from axialvs.datasets.samplers import InfiniteClipSampler
from axialvs.datasets.seeding import seed_iteration
from axialvs.utils.errors import AxialVSError


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed every iteration, so that a resumed run has the same random draws.

    mmengine seeds a run once, so a resumed run repeats the first draws of points and drop path.
    Without a seed in the config, mmengine restores the checkpoint's seed after the sampler has been
    built with a different one; this hook passes it to the sampler.
    """

    priority = 'VERY_HIGH'  # before hooks that draw

    def before_train(self, runner: Runner) -> None:
        """Give the sampler the run's seed, the checkpoint's if the run is resumed.

        Raises:
            AxialVSError: if the loop counts epochs and the sampler is infinite.
        """
        self.seed = run_seed(runner)
        sampler = runner.train_dataloader.sampler
        if isinstance(sampler, InfiniteClipSampler) and isinstance(
            runner.train_loop, EpochBasedTrainLoop
        ):
            raise AxialVSError(
                f'train_cfg: an epoch of {type(sampler).__name__} has no end; take '
                "IterBasedTrainLoop, or sampler=dict(type='DefaultSampler', shuffle=True) in "
                'train_dataloader'
            )
        if getattr(sampler, 'seed', None) is not None:
            sampler.seed = self.seed

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed all generators."""
        seed_iteration(self.seed, runner.iter, get_rank())


def run_seed(runner: Runner) -> int:
    """Return the seed that all processes of a run share."""
    is_shifted = runner._randomness_cfg.get('diff_rank_seed', False)
    return runner.seed - get_rank() if is_shifted else runner.seed
