"""Storage for tensors until the end of a video: in memory up to a limit, then on disk."""

import os
import tempfile
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from axialvs.utils.errors import AxialVSError

DEFAULT_MEMORY_LIMIT = 32 * 2**20

Precision = Literal['float32', 'float16']


class TensorStore:
    """Store one tensor per clip and read all or some rows of them back in order.

    Args:
        memory_limit: bytes kept in memory. Beyond it, all data moves to a file in the temporary
            folder (environment variable TMPDIR), which is deleted with this object.
        precision: 'float32', or 'float16' to halve the size.

    Raises:
        AxialVSError: if the precision is unknown.
    """

    def __init__(
        self, memory_limit: int = DEFAULT_MEMORY_LIMIT, precision: Precision = 'float32'
    ) -> None:
        if precision not in ('float32', 'float16'):
            raise AxialVSError(f"precision is '{precision}'; use 'float32' or 'float16'")
        # `max_size=0` would mean no limit.
        self._file = tempfile.SpooledTemporaryFile(max_size=max(memory_limit, 1))  # noqa: SIM115
        self._dtype = np.dtype(precision)
        self._shapes: list[tuple[int, ...]] = []

    def append(self, tensor: Tensor) -> None:
        """Store one clip's tensor (rows, ...).

        Raises:
            OSError: if the temporary folder is full.
            AxialVSError: if a value is too large for half precision.
        """
        array = tensor.float().cpu().contiguous().numpy()
        if array.dtype != self._dtype:
            array = self._halve(array)
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(array.data)
        except OSError as error:
            raise OSError(
                error.errno,
                f'cannot store more than {self.num_bytes / 2**20:.0f} MiB in '
                f'{tempfile.gettempdir()}: {error.strerror}; set TMPDIR to a larger disk',
            ) from error
        self._shapes.append(array.shape)

    def _halve(self, array: np.ndarray) -> np.ndarray:
        largest = np.finfo(self._dtype).max
        if np.abs(array).max(initial=0) > largest:
            raise AxialVSError(
                f'a value exceeds the largest {self._dtype} number, {largest:.0f}; use float32'
            )
        return array.astype(self._dtype)

    @property
    def num_bytes(self) -> int:
        """Bytes stored so far."""
        return sum(int(np.prod(shape)) for shape in self._shapes) * self._dtype.itemsize

    def read(self, rows: Tensor | None = None) -> Iterator[Tensor]:
        """Yield each clip's tensor as float32: the rows (n,) in the given order, or all."""
        offset = 0
        for shape in self._shapes:
            row_bytes = int(np.prod(shape[1:])) * self._dtype.itemsize
            if rows is None:
                out = self._read_at(offset, shape)
            else:
                out = torch.empty(len(rows), *shape[1:])
                for slot, row in enumerate(rows.tolist()):
                    out[slot] = self._read_at(offset + row * row_bytes, shape[1:])
            yield out
            offset += shape[0] * row_bytes

    def _read_at(self, offset: int, shape: tuple[int, ...]) -> Tensor:
        array = np.empty(shape, dtype=self._dtype)
        self._file.seek(offset)
        self._file.readinto(array.reshape(-1).view(np.uint8).data)
        return torch.from_numpy(array).float()

    def close(self) -> None:
        """Release memory and file."""
        self._file.close()
