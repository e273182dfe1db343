"""Visualization backends: optional TensorBoard, and fixes for W&B and MLflow."""

import contextlib
import logging
from pathlib import Path

import numpy as np
from mmdet.registry import VISBACKENDS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.visualization import MLflowVisBackend, TensorboardVisBackend, WandbVisBackend
from numpy.typing import NDArray

_HINT = (
    'No TensorBoard curves: the package tensorboard is missing (pip install tensorboard). Scalars '
    'are in scalars.json, which `axialvs plot` draws.'
)


@VISBACKENDS.register_module()
class OptionalTensorboardVisBackend(TensorboardVisBackend):
    """TensorboardVisBackend that logs a warning if tensorboard is not installed.

    Nothing is imported or written before the first scalar, so that a test leaves no empty file.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self._config: Config | None = None

    def add_config(self, config: Config, **kwargs) -> None:
        """Keep the config until the first scalar."""
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
    """No-op writer for when TensorBoard is not installed."""

    def add_scalar(self, *args, **kwargs) -> None:
        """Ignore a scalar."""

    add_image = add_scalar

    def close(self) -> None:
        """Do nothing."""


@VISBACKENDS.register_module()
class ClipWandbVisBackend(WandbVisBackend):
    """WandbVisBackend with iterations as steps, which uploads code only with `log_code_name`.

    mmengine's backend counts log lines as steps and does not log the iteration of a validation. It
    also uploads every Python file below the current folder, including virtual environments.
    """

    def add_config(self, config: Config, **kwargs) -> None:
        """Log the config."""
        if self._log_code_name is not None:
            super().add_config(config, **kwargs)
        else:
            self.experiment.config.update(
                config.to_dict(), allow_val_change=self._init_kwargs.get('allow_val_change', False)
            )

    def add_image(self, name: str, image: NDArray[np.uint8], step: int = 0, **kwargs) -> None:
        """Log an image (H, W, 3) in RGB."""
        self.experiment.log({name: self.experiment.Image(image)}, step=step)

    def add_scalar(self, name: str, value: float, step: int = 0, **kwargs) -> None:
        """Log a scalar."""
        self.experiment.log({name: value}, step=step)

    def add_scalars(self, scalar_dict: dict, step: int = 0, *args, **kwargs) -> None:
        """Log scalars by name."""
        self.experiment.log(scalar_dict, step=step)


@VISBACKENDS.register_module()
class ClipMLflowVisBackend(MLflowVisBackend):
    """MLflowVisBackend with a supported store, run names and images by iteration.

    Without `tracking_uri`, the store is MLflow's default or MLFLOW_TRACKING_URI; mmengine's folder
    of files is refused by MLflow 3.17. Images get a suffix, without which mmengine's backend fails.
    Without `run_name`, the name is `CONFIG/TIME`; MLflow's random names repeat with the seed.
    """

    def _init_env(self) -> None:
        if self._tracking_uri is None:
            with contextlib.suppress(ImportError):  # the parent says what is missing
                from mlflow import get_tracking_uri

                self._tracking_uri = get_tracking_uri()
        if self._run_name is None:
            self._run_name = '/'.join(Path(self._save_dir).absolute().parts[-3:-1])
        super()._init_env()

    def add_image(self, name: str, image: NDArray[np.uint8], step: int = 0, **kwargs) -> None:
        """Log an image (H, W, 3) in RGB as `NAME_STEP.png`."""
        super().add_image(f'{name}_{step}.png', image, step, **kwargs)
