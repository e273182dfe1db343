"""Short lines for the screen, all scalars for the files."""

import re

from mmdet.registry import LOG_PROCESSORS
from mmengine.runner import LogProcessor, Runner

from axialvs.utils.env import peak_resident_bytes

_BYTES_OF_MB = 1 << 20
_TIMES = re.compile(r'data_time: \S+  ')


@LOG_PROCESSORS.register_module()
class CompactLogProcessor(LogProcessor):
    """Log processor for models with a loss at every decoder layer.

    Scalars have the prefix `train/` or `val/`. Without a GPU, `memory` is the peak resident memory
    of the process instead of the tensors' peak; MB in both cases.

    Args:
        hidden: pattern of names left out of the lines, but not of JSON and TensorBoard; by default
            the losses of all decoder layers except the last.
        **kwargs: see `LogProcessor`.
    """

    def __init__(self, hidden: str = r'd\d+\.\S+', **kwargs) -> None:
        kwargs.setdefault('log_with_hierarchy', True)
        super().__init__(**kwargs)
        self.hidden = re.compile(rf'  (?:{hidden}): \S+')

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Return the scalars and the line of an iteration."""
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if 'memory' not in tag:
            tag['memory'] = peak_resident_bytes() // _BYTES_OF_MB
            line = _TIMES.sub(lambda times: f'{times[0]}memory: {tag["memory"]}  ', line, count=1)
        return tag, self.hidden.sub('', line)
