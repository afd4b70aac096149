"""Points and values that were computed ahead, in a temporary file."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

#: Points (N, 3) and values (N, 1) of an object, float32.
Observed = tuple[np.ndarray, np.ndarray]


class Prepared:
    """Points and values of objects, 16 bytes per point, in a file without a name in ``TMPDIR``.

    Args:
        points: N, of each object.
    """

    def __init__(self, points: int) -> None:
        self.points = points
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        weakref.finalize(self, self._file.close)
        self._rows: dict[int, int] = {}

    def __contains__(self, item: int) -> bool:
        return item in self._rows

    def put(self, item: int, observed: Observed) -> None:
        """Keeps an object's points and values.

        Raises:
            OSError: the disk is full.
        """
        row = len(self._rows)
        self._file.seek(row * self._size)
        self._file.write(np.concatenate(observed, axis=1).astype("<f4").tobytes())
        self._rows[item] = row

    def get(self, item: int) -> tuple[Tensor, Tensor]:
        """Points (N, 3) and values (N, 1)."""
        self._file.seek(self._rows[item] * self._size)
        whole = torch.from_numpy(np.frombuffer(self._file.read(self._size), "<f4").reshape(self.points, 4).copy())
        return whole[:, :3].contiguous(), whole[:, 3:].contiguous()

    @property
    def _size(self) -> int:
        return 16 * self.points


def observed(observe: Callable[[Tensor], tuple[Tensor, Tensor]], item: int) -> Observed:
    """Points and values of one object, as arrays."""
    points, values = observe(torch.tensor([item]))
    return points[0].numpy(), values[0].numpy()
