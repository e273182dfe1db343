"""Weights & Biases and MLflow, with every figure and picture at its iteration."""

import contextlib
from pathlib import Path

import numpy as np
from mmdet.registry import VISBACKENDS
from mmengine.config import Config
from mmengine.visualization import MLflowVisBackend, WandbVisBackend
from numpy.typing import NDArray


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
