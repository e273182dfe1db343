"""Mask logits that wait for a video's end: in memory, beyond a limit in a temporary file."""

import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

DEFAULT_MEMORY_LIMIT = 32 * 2**20


class LogitStore:
    """Clip after clip of mask logits, read back for some queries only.

    Args:
        memory_limit: bytes kept in memory; when they are exceeded all goes to a file in the
            platform's temporary folder (the environment variable TMPDIR moves it), which vanishes
            with this object.
    """

    def __init__(self, memory_limit: int = DEFAULT_MEMORY_LIMIT) -> None:
        # To tempfile a limit of 0 means none.
        self._file = tempfile.SpooledTemporaryFile(max_size=max(memory_limit, 1))  # noqa: SIM115
        self._shapes: list[tuple[int, ...]] = []

    def append(self, logits: Tensor) -> None:
        """Stores one clip's logits (Q, T, H, W) as float32.

        Raises:
            OSError: if the temporary folder is full.
        """
        array = logits.float().cpu().contiguous().numpy()
        try:
            self._file.write(array.data)
        except OSError as error:
            needed = sum(int(np.prod(shape)) for shape in self._shapes) * array.itemsize
            raise OSError(
                error.errno,
                f'cannot store mask logits beyond {needed / 2**20:.0f} MiB in '
                f'{tempfile.gettempdir()}: {error.strerror}. Point TMPDIR to one with more room',
            ) from error
        self._shapes.append(array.shape)

    def read(self, queries: Tensor) -> Iterator[Tensor]:
        """Yields each clip's logits (n, T, H, W) of the given queries (n,)."""
        rows = queries.tolist()
        offset = 0
        for num_queries, *rest in self._shapes:
            row_bytes = int(np.prod(rest)) * np.dtype(np.float32).itemsize
            out = np.empty((len(rows), *rest), dtype=np.float32)
            for slot, row in enumerate(rows):
                self._file.seek(offset + row * row_bytes)
                out[slot] = np.frombuffer(self._file.read(row_bytes), dtype=np.float32).reshape(
                    rest
                )
            yield torch.from_numpy(out)
            offset += num_queries * row_bytes

    def close(self) -> None:
        """Gives memory and file back."""
        self._file.close()
