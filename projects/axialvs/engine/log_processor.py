"""A training log that is short on the screen and whole in its files."""

import re

from mmdet.registry import LOG_PROCESSORS
from mmengine.runner import LogProcessor, Runner

from axialvs.utils.env import peak_resident_bytes

_BYTES_OF_MB = 1 << 20
_TIMES = re.compile(r'data_time: \S+  ')


@LOG_PROCESSORS.register_module()
class CompactLogProcessor(LogProcessor):
    """mmengine's processor for models with a loss at every decoder layer.

    The line of an iteration leaves out what `hidden` fits; scalars, and so JSON and TensorBoard,
    have everything. Scalars carry the prefix `train/` or `val/`, or the time of a training step
    and that of a validation clip would share a curve. Without a GPU, `memory` is the most that the
    process had resident so far, as it is the most that tensors took on a GPU; MB in both.

    Args:
        hidden: pattern of the names to leave out of the line; by default the losses of all decoder
            layers but the last.
        **kwargs: mmengine's.
    """

    def __init__(self, hidden: str = r'd\d+\.\S+', **kwargs) -> None:
        kwargs.setdefault('log_with_hierarchy', True)
        super().__init__(**kwargs)
        self.hidden = re.compile(rf'  (?:{hidden}): \S+')

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """The scalars of an iteration, and its line."""
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if 'memory' not in tag:
            tag['memory'] = peak_resident_bytes() // _BYTES_OF_MB
            line = _TIMES.sub(lambda times: f'{times[0]}memory: {tag["memory"]}  ', line, count=1)
        return tag, self.hidden.sub('', line)
