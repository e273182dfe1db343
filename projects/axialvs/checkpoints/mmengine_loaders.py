"""Makes every way in which mmengine reads a checkpoint a weights-only one, for this process."""

import json
from pathlib import Path

import mmengine
from mmengine.runner.checkpoint import CheckpointLoader

from axialvs.checkpoints.hub import ZOO_PREFIX, download, fetch_checkpoint
from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.utils.errors import AxialVSError

_TORCHVISION_TABLE = 'torchvision_0.12.json'


def register_safe_loaders() -> None:
    """Replaces mmengine's loaders, which fall back to full unpickling.

    `Runner.load_checkpoint`, `Runner.resume` and the `Pretrained` initialisation of modules all go
    through them. Schemes that need a client of their own (s3, petrel, pavi, mmcls) are refused.
    """
    register = CheckpointLoader.register_scheme
    register('', load_from_local_safely, force=True)
    register(('http://', 'https://'), load_from_http_safely, force=True)
    register(('modelzoo://', 'torchvision://'), load_from_torchvision_safely, force=True)
    register(ZOO_PREFIX, load_from_zoo_safely, force=True)
    kept = ('', 'http://', 'https://', 'modelzoo://', 'torchvision://', ZOO_PREFIX)
    for prefix in set(CheckpointLoader._schemes) - set(kept):
        register(prefix, load_from_refused, force=True)


# mmengine calls a loader as (filename, map_location) and names it in the log without its first ten
# letters, 'load_from_'.


def load_from_local_safely(filename: str, map_location=None) -> dict:
    """A local file."""
    return load_checkpoint_safely(filename, map_location)


def load_from_http_safely(filename: str, map_location=None) -> dict:
    """An address; the file is kept in the cache."""
    return load_checkpoint_safely(download(filename), map_location)


def load_from_zoo_safely(filename: str, map_location=None) -> dict:
    """A name in the table of known checkpoints."""
    name = filename.removeprefix(ZOO_PREFIX)
    return load_checkpoint_safely(fetch_checkpoint(name), map_location)


def load_from_torchvision_safely(filename: str, map_location=None) -> dict:
    """A torchvision backbone, by the addresses that mmengine ships; torchvision is not needed."""
    name = filename.partition('://')[-1]
    table = Path(mmengine.__path__[0]) / 'hub' / _TORCHVISION_TABLE
    addresses = json.loads(table.read_text())
    if name not in addresses:
        raise AxialVSError(
            f'{filename}: torchvision is not known to publish {name}; '
            f'known are {", ".join(sorted(addresses))}'
        )
    return load_from_http_safely(addresses[name], map_location)


def load_from_refused(filename: str, map_location=None) -> dict:
    """A scheme whose files cannot be read weights-only here."""
    raise AxialVSError(
        f'checkpoint {filename}: this kind of address is not supported; '
        'download the file and give its path'
    )
