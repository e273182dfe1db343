"""TensorBoard where it is installed, and a hint where it is not."""

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


@VISBACKENDS.register_module()
class ClipWandbVisBackend(WandbVisBackend):
    """mmengine's backend with iterations as steps, and without other people's code.

    mmengine's counts what is sent, so that a line of the log every 50 iterations is one step, and
    it does not say which iteration a validation belongs to. It also sends every Python file below
    the current folder, those of a virtual environment too; here only `log_code_name` has it do so.
    """

    def add_config(self, config: Config, **kwargs) -> None:
        """Sends the config."""
        if self._log_code_name is not None:
            super().add_config(config, **kwargs)
        else:
            self.experiment.config.update(
                config.to_dict(), allow_val_change=self._init_kwargs.get('allow_val_change', False)
            )

    def add_image(self, name: str, image: NDArray[np.uint8], step: int = 0, **kwargs) -> None:
        """Sends a picture, (height, width, 3) in RGB."""
        self.experiment.log({name: self.experiment.Image(image)}, step=step)

    def add_scalar(self, name: str, value: float, step: int = 0, **kwargs) -> None:
        """Sends a figure."""
        self.experiment.log({name: value}, step=step)

    def add_scalars(self, scalar_dict: dict, step: int = 0, *args, **kwargs) -> None:
        """Sends figures by name."""
        self.experiment.log(scalar_dict, step=step)


@VISBACKENDS.register_module()
class ClipMLflowVisBackend(MLflowVisBackend):
    """mmengine's backend with a store that MLflow takes, names of runs, and pictures by iteration.

    Without `tracking_uri`, the store is MLflow's own choice: what MLFLOW_TRACKING_URI says, or its
    default. mmengine's is a folder of files, which MLflow 3.17 refuses. mmengine's gives pictures
    no suffix, which ends a training with an error.

    Without `run_name`, a run is called after its folder, `CONFIG/TIME`. MLflow would draw a name,
    the same for all runs with one seed.
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
        """Stores a picture, (height, width, 3) in RGB, as `NAME_STEP.png`."""
        super().add_image(f'{name}_{step}.png', image, step, **kwargs)
