"""TensorBoard where it is installed, and a hint where it is not."""

import logging

from mmdet.registry import VISBACKENDS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.visualization import TensorboardVisBackend

_HINT = (
    'No TensorBoard curves: the package tensorboard is missing (pip install tensorboard). Figures '
    'go on to scalars.json, which tools/analysis_tools/plot_log.py draws.'
)


@VISBACKENDS.register_module()
class OptionalTensorboardVisBackend(TensorboardVisBackend):
    """mmengine's backend, which a run without the package tensorboard does not fail of.

    Nothing is imported or written before the first figure, so that a test leaves no empty file.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self._config: Config | None = None

    def add_config(self, config: Config, **kwargs) -> None:
        """Keeps the config until there is something to write it beside."""
        self._config = config

    def _init_env(self) -> None:
        try:
            super()._init_env()
        except ImportError:
            self._tensorboard = _NoWriter()
            print_log(_HINT, logger='current', level=logging.WARNING)
        else:
            if self._config is not None:  # TensorBoard shows text as Markdown
                code = f'```python\n{self._config.pretty_text}\n```'
                self._tensorboard.add_text('config', code)


class _NoWriter:
    """Takes the place of TensorBoard's writer."""

    def add_scalar(self, *args, **kwargs) -> None:
        """Writes nothing."""

    add_image = add_scalar

    def close(self) -> None:
        """Has nothing open."""
