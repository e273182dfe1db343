"""mmengine's runner, reading checkpoints without executing anything they hold."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmengine
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner

from axialvs.checkpoints.hub import ZOO_PREFIX, download, fetch_checkpoint
from axialvs.checkpoints.loading import CheckpointError, load_checkpoint_safely

_TORCHVISION_PREFIXES = ('torchvision://', 'modelzoo://')
_TORCHVISION_TABLE = Path(mmengine.__path__[0]) / 'hub' / 'torchvision_0.12.json'


@RUNNERS.register_module()
class SafeRunner(Runner):
    """mmengine's runner with weights-only loading, also for the `Pretrained` initialization.

    mmengine falls back to full unpickling, which can execute code. Its own loaders are replaced
    only while this runner loads something; the rest of the process keeps them.
    """

    def load_checkpoint(self, *args, **kwargs) -> dict[str, Any]:
        """Load weights, see `Runner.load_checkpoint`."""
        with _weights_only():
            return super().load_checkpoint(*args, **kwargs)

    def _init_model_weights(self) -> None:
        with _weights_only():
            super()._init_model_weights()


def load_address(filename: str, map_location: Any = None, logger: Any = None) -> dict[str, Any]:
    """Read a checkpoint by path, http address, `axialvs://` or `torchvision://` name.

    Args:
        filename: path or address.
        map_location: unused, as is `logger`: tensors stay on the CPU, and a model copies them.

    Raises:
        CheckpointError: if the scheme is not supported or the file cannot be used.
    """
    scheme, separator, name = str(filename).partition('://')
    prefix = scheme + separator
    if not separator:
        path = Path(filename)
    elif prefix == ZOO_PREFIX:
        path = fetch_checkpoint(name)
    elif prefix in _TORCHVISION_PREFIXES:
        path = download(_torchvision_address(name))
    elif scheme in ('http', 'https'):
        path = download(filename)
    else:
        raise CheckpointError(
            f'checkpoint {filename}: {prefix} is not supported; download the file and use its path'
        )
    return load_checkpoint_safely(path)


def _torchvision_address(name: str) -> str:
    """Look up a backbone in mmengine's table, which does not need torchvision itself."""
    addresses = json.loads(_TORCHVISION_TABLE.read_text())
    if name not in addresses:
        raise CheckpointError(
            f'torchvision://{name} is unknown; available: {", ".join(sorted(addresses))}'
        )
    return addresses[name]


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """Let everything that goes through mmengine's `CheckpointLoader` be read by `load_address`."""
    original = vars(CheckpointLoader)['load_checkpoint']
    CheckpointLoader.load_checkpoint = staticmethod(load_address)
    try:
        yield
    finally:
        CheckpointLoader.load_checkpoint = original
