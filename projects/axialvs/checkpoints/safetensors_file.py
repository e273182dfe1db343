"""Checkpoints as .safetensors files: tensors, and other content as JSON in the metadata."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axialvs.checkpoints.pickled_values import BrokenFileError
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically

SUFFIX = '.safetensors'
_META_KEY = 'axialvs_meta'


def read_safetensors(path: Path, with_data: bool = True) -> dict[str, Any]:
    """Read a file into `state_dict` and `meta`, which is empty for files of other programs.

    Args:
        path: file to read.
        with_data: False leaves the tensors on the device 'meta'.

    Raises:
        BrokenFileError: if it is truncated, corrupted or not a .safetensors file.
        AxialVSError: if the package safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise _not_installed(path) from error
    try:
        with safe_open(path, framework='pt') as file:
            meta = json.loads((file.metadata() or {}).get(_META_KEY, '{}'))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, RecursionError) as error:
        raise BrokenFileError(str(error)) from error
    if not with_data:
        weights = {name: weight.to('meta') for name, weight in weights.items()}
    return {'state_dict': weights, 'meta': meta}


def write_safetensors(path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a file atomically.

    Args:
        path: file to write.
        weights: plain tensors.
        meta: JSON-serializable values.

    Raises:
        AxialVSError: if the package safetensors is not installed.
        OSError: if the file cannot be written.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise _not_installed(path) from error
    # safetensors rejects tensors that share memory.
    own = {name: x.clone(memory_format=torch.contiguous_format) for name, x in weights.items()}
    write_atomically(path, save(own, {'format': 'pt', _META_KEY: json.dumps(meta, default=_plain)}))


def _not_installed(path: Path) -> AxialVSError:
    return AxialVSError(
        f"{path}: safetensors is not installed; run: pip install 'axialvs[safetensors]'"
    )


def _plain(value: Any) -> Any:
    """Convert arrays and tensors in the metadata to lists."""
    return value.tolist()
