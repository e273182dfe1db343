"""The runner of this package: safe loading, a quiet screen and clear errors."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner
from torch import nn

from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.engine.screen import set_up_screen
from axialvs.utils.errors import AxialVSError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_LOCK_FILE = 'train.lock'
# torch's messages if a dataloader worker was killed or (shared) memory is exhausted.
_OUT_OF_MEMORY = re.compile(
    r'DataLoader worker .*(?:killed by signal|exited unexpectedly)'
    r'|unable to (?:allocate shared memory|write to file </torch)|can\'t allocate memory'
)


class WorkDirInUseError(AxialVSError):
    """Another process is training in the same folder."""


class LoaderWorkerError(AxialVSError):
    """A dataloader worker was killed or ran out of memory."""


@RUNNERS.register_module()
class SafeRunner(Runner):
    """mmengine's runner with weights-only loading, also for the `Pretrained` initialization.

    mmengine falls back to full unpickling, which can execute code. Its own loaders are replaced
    only while this runner loads something; the rest of the process keeps them.

    The screen only shows messages for users, or the whole log if the config has `verbose=True`. Two
    trainings cannot share a work dir.
    """

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, see `Runner.build_logger`, and choose what the screen shows."""
        logger = super().build_logger(*args, **kwargs)
        set_up_screen(logger, verbose=bool(self.cfg.get('verbose', False)))
        return logger

    def train(self) -> Any:
        """Train, see `Runner.train`.

        Raises:
            WorkDirInUseError: if a different process trains in the work dir.
            LoaderWorkerError: if the system ended a loader worker.
        """
        with _locked(Path(self.work_dir)), _clear_worker_errors():
            return super().train()

    def test(self) -> dict[str, float]:
        """Test, see `Runner.test`; raises `LoaderWorkerError` as `train` does."""
        with _clear_worker_errors():
            return super().test()

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model, see `Runner.wrap_model`.

        Raises:
            AxialVSError: if `sync_bn` is set and there are several processes without GPUs.
        """
        if self.distributed and self.cfg.get('sync_bn') and get_device() == 'cpu':
            raise AxialVSError('sync_bn needs GPUs; pass --cfg-options sync_bn=None')
        return super().wrap_model(model_wrapper_cfg, model)

    def load_checkpoint(self, *args, **kwargs) -> dict[str, Any]:
        """Load weights, see `Runner.load_checkpoint`."""
        with _weights_only():
            return super().load_checkpoint(*args, **kwargs)

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume, see `Runner.resume`."""
        super().resume(filename, *args, **kwargs)
        self.logger.info(f'Resumed from {filename} after {self.iter} iterations')

    def _init_model_weights(self) -> None:
        with _weights_only():
            super()._init_model_weights()


def load_address(filename: str, map_location: Any = None, logger: Any = None) -> dict[str, Any]:
    """Read a checkpoint, see `resolve_checkpoint`, in place of mmengine's loaders.

    Files with weights under 'model', such as ConvNeXt's, are read as mmengine's 'state_dict'.

    Args:
        filename: path or address.
        map_location: unused, as is `logger`: tensors stay on the CPU, and a model copies them.

    Raises:
        AxialVSError: if the scheme is not supported or the file cannot be used.
    """
    checkpoint = load_checkpoint_safely(filename)
    if 'state_dict' not in checkpoint and isinstance(checkpoint.get('model'), dict):
        checkpoint['state_dict'] = checkpoint.pop('model')
    return checkpoint


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """Redirect mmengine's `CheckpointLoader` to `load_address`."""
    original = vars(CheckpointLoader)['load_checkpoint']
    CheckpointLoader.load_checkpoint = staticmethod(load_address)
    try:
        yield
    finally:
        CheckpointLoader.load_checkpoint = original


@contextlib.contextmanager
def _locked(work_dir: Path) -> Iterator[None]:
    """Lock a folder against other trainings.

    Record locks are released when the process ends for any reason, and workers do not inherit them.
    """
    if fcntl is None or not is_main_process():
        yield
        return
    with open(work_dir / _LOCK_FILE, 'a+') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise WorkDirInUseError(
                f'{work_dir} is in use by another training ({file.read().strip()}); wait until it '
                'ends, or choose a different folder with --work-dir'
            ) from None
        except OSError:  # the file system has no locks
            yield
            return
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield


@contextlib.contextmanager
def _clear_worker_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise LoaderWorkerError(
            f'{str(error).splitlines()[0].rstrip(". ")}. Out of memory? Use fewer workers or '
            'smaller batches (num_workers, batch_size of the dataloader), or give the machine more '
            '(shared) memory; --resume continues from the last checkpoint'
        ) from error
