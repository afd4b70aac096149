"""Several zoos as one: networks that differ in the widths of their hidden layers alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.data.mixable import check_mixable
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, ZooAlignment
from weightspace.zoo.header import ZooHeader


class Mixture:
    """Several zoos whose rows are numbered through: those of the first, then those of the second, and so on.

    It has what a data module needs of a ``Zoo``. A batch is of one of them, since networks of several widths have no
    common tensor.

    Args:
        zoos: two or more.

    Raises:
        ConfigError: they cannot be mixed; the message names two of them, and what differs.
    """

    def __init__(self, zoos: Sequence[Zoo]) -> None:
        check_mixable(zoos)
        self.zoos = tuple(zoos)
        self.path = " and ".join(str(zoo.path) for zoo in zoos)
        self._begins = np.cumsum([0, *map(len, zoos)])

    def __len__(self) -> int:
        return int(self._begins[-1])

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.zoos))

    @property
    def header(self) -> ZooHeader:
        """That of the first zoo; target and classes are those of all."""
        return self.zoos[0].header

    @property
    def spec(self) -> NetworkSpec:
        """Architecture of the first zoo's networks."""
        return self.zoos[0].spec

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or None for a regression target."""
        return self.zoos[0].class_names

    @property
    def value_range(self) -> tuple[float, float]:
        """See ``Zoo.value_range``."""
        return self.zoos[0].value_range

    @property
    def fold(self) -> None:
        """None: folds are those of a single zoo."""
        return None

    @cached_property
    def digest(self) -> str:
        """sha256 of the digests of all zoos, in their order."""
        return hashlib.sha256(" ".join(zoo.digest for zoo in self.zoos).encode()).hexdigest()

    @cached_property
    def targets(self) -> Tensor:
        """(n,) int64 classes or (n, T) float32."""
        return torch.cat([zoo.targets for zoo in self.zoos])

    @cached_property
    def objects(self) -> Tensor:
        """(n,) int64 numbers of objects, as each zoo has them: two zoos may have the same."""
        return torch.cat([zoo.objects for zoo in self.zoos])

    @cached_property
    def views(self) -> Tensor:
        """(n,) int64: which neural view of its object a network is."""
        return torch.cat([zoo.views for zoo in self.zoos])

    @cached_property
    def splits(self) -> Tensor:
        """(n,) uint8 indices into ``SPLITS``."""
        return torch.cat([zoo.splits for zoo in self.zoos])

    def rows(self, split: str, first_view_only: bool = False) -> Tensor:
        """Row numbers of a split, see ``Zoo.rows``; one network per object and zoo, if that is asked for."""
        return self.numbered([zoo.rows(split, first_view_only) for zoo in self.zoos])

    def numbered(self, rows: Sequence[Tensor]) -> Tensor:
        """Numbers here of rows of each zoo."""
        return torch.cat([own + int(begin) for own, begin in zip(rows, self._begins, strict=False)])

    def parts(self, rows: Tensor) -> list[tuple[Zoo, Tensor]]:
        """The zoos that rows are of, each with its own numbers of them, in their order."""
        places = torch.from_numpy(np.searchsorted(self._begins, rows.numpy(), side="right") - 1)
        found = [(zoo, rows[places == place] - int(self._begins[place])) for place, zoo in enumerate(self.zoos)]
        return [(zoo, own) for zoo, own in found if len(own)]

    def alignment(self, name: str | bool | None = None) -> ZooAlignment:
        """Refuses: the frame of a stored alignment is that of one zoo.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"a stored alignment is that of one zoo, and data.zoo has {len(self.zoos)} ({self.path}): networks of "
            "other widths have another frame. Take stored: false, which aligns the networks of each batch, or one zoo"
        )


#: What a data module serves.
Networks = Zoo | Mixture


def opened(given: Any) -> Networks:
    """Opens a zoo, or several as one.

    Args:
        given: folder of a zoo, a zoo, or a list of these.

    Raises:
        ConfigError: the list is empty, or its zoos cannot be mixed.
        ZooError: a folder is not a complete zoo.
    """
    if not isinstance(given, list | tuple):
        return given if isinstance(given, Zoo) else Zoo(given)
    if not given:
        raise ConfigError("data.zoo is an empty list: give the folder of a zoo, or several")
    zoos = [zoo if isinstance(zoo, Zoo) else Zoo(zoo) for zoo in given]
    return Mixture(zoos) if len(zoos) > 1 else zoos[0]


def zoos_of(networks: Networks) -> tuple[Zoo, ...]:
    """The zoos: one, or those of a mixture."""
    return networks.zoos if isinstance(networks, Mixture) else (networks,)


def parts_of(networks: Networks, rows: Tensor) -> list[tuple[Zoo, Tensor]]:
    """The zoos that rows are of, each with its own numbers of them; a single zoo always is."""
    return networks.parts(rows) if isinstance(networks, Mixture) else [(networks, rows)]


def numbered(networks: Networks, rows: Sequence[Tensor]) -> Tensor:
    """Row numbers of rows of each zoo."""
    return networks.numbered(rows) if isinstance(networks, Mixture) else rows[0]


def single(networks: Networks, option: str, test_zoo: object) -> Zoo:
    """The zoo, for an option that is of one zoo; raises ConfigError if there are several, or others to test."""
    if isinstance(networks, Mixture):
        raise ConfigError(f"{option} divides the objects of one zoo, and data.zoo has {len(networks.zoos)}: take one")
    if test_zoo is not None:
        raise ConfigError(
            f"{option} tests objects of data.zoo, and data.test_zoo is another one: leave one of them out"
        )
    return networks


def batch_of(networks: Networks, rows: Tensor) -> WeightBatch:
    """The networks of rows in the first zoo that has any; of no rows, none of the first zoo."""
    zoo, own = (parts_of(networks, rows) or [(zoos_of(networks)[0], rows)])[0]
    return zoo.batch(own)
