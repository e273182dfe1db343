"""A hook that makes what a run draws depend on its seed and the iteration alone."""

from mmdet.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from axialvs.datasets.samplers import InfiniteClipSampler
from axialvs.datasets.seeding import seed_iteration
from axialvs.utils.errors import AxialVSError


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seeds every iteration anew, so that a resumed run draws what it would have drawn.

    mmengine seeds a run once: after an interruption, points of losses, dropped paths and the like
    are drawn from the beginning of the stream again. And where a config gives no seed, mmengine
    takes the checkpoint's after the sampler was built with another; the sampler gets it here.
    """

    priority = 'VERY_HIGH'  # before hooks that draw

    def before_train(self, runner: Runner) -> None:
        """Gives the sampler the run's seed, which is the checkpoint's if the run is resumed.

        Raises:
            ValueError: Epochs are counted, and the sampler has no end.
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
        """Seeds all generators."""
        seed_iteration(self.seed, runner.iter, get_rank())


def run_seed(runner: Runner) -> int:
    """The seed that all processes of a run share."""
    is_shifted = runner._randomness_cfg.get('diff_rank_seed', False)
    return runner.seed - get_rank() if is_shifted else runner.seed
