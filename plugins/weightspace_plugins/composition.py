"""The base of compositions: which part changes which network is drawn first, then each part gets its networks.

A part gets only the networks that drew it, as one batch. A part that mixes networks gets the whole batch, and its
results are taken for those that drew it: their partners are any networks of the batch, as with ``p``, and not only
those that drew the same.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from weightspace.augment.frames import check_frames
from weightspace.augment.results import naming, put
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec

from weightspace_plugins.parts import Part, WithParts


class Step(NamedTuple):
    """Which part is applied, to which networks (n,) int64 or, with None, all, and what it drew."""

    place: int
    rows: Tensor | None
    params: Any


class Draw(NamedTuple):
    """The steps in order, the networks that they are for, and those before the last step, computed on the way."""

    steps: list[Step]
    given: WeightBatch
    before_last: WeightBatch


class Composition(WithParts):
    """An augmentation made of others: it is valid, exact and so on as far as all its parts are.

    On an accelerator one look at the draws, for all parts together, waits for it: the sizes of the parts' batches.
    """

    family = "composition"
    #: whether the parts are alternatives, which all get the networks as they were given; otherwise one follows another
    alternatives: ClassVar[bool] = False

    exact: ClassVar[Any] = property(lambda self: _weakest([part.exact for part in self.parts]))
    activations: ClassVar[Any] = property(lambda self: frozenset.intersection(*(p.activations for p in self.parts)))
    uses_labels: ClassVar[Any] = property(lambda self: any(part.uses_labels for part in self.parts))
    mixes: ClassVar[Any] = property(lambda self: any(part.mixes for part in self.parts))

    def __init__(self, p: float, of: Sequence[Part]) -> None:
        super().__init__(p, "of", of)
        #: the part of each step, by its place
        self.places = list(range(len(self.parts)))

    @property
    def changes_networks(self) -> bool:
        """Whether a part may change a network's parameters."""
        return self.p > 0 and any(part.changes_networks for part in self.parts)

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless each part is valid, where it comes, for such networks."""
        super().check(spec, target)
        try:
            check_frames([self.parts[place] for place in self.places], in_order=not self.alternatives)
        except AugmentationError as error:
            raise AugmentationError(f"{self.name}: {error}") from error

    @abstractmethod
    def choose(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(steps, B) bool: whether each step is drawn for each network."""

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Draw:
        """Draws the parts, then what each of them draws for its networks, as the parts before it leave them."""
        chosen = self.choose(batch, generator)
        p = torch.tensor([self.parts[place].p for place in self.places])
        if (p < 1).any():
            gates = torch.rand(chosen.shape, generator=generator, device=batch.device) < p.to(batch.device)[:, None]
            chosen = chosen.to(batch.device) & gates
        drawn = [(place, _rows(taken, batch)) for place, taken in zip(self.places, chosen.cpu(), strict=True)]
        drawn = [(place, rows) for place, rows in drawn if rows is None or len(rows)]
        steps, result = [], batch
        for number, (place, rows) in enumerate(drawn):
            given = self._given(batch if self.alternatives else result, place, rows)
            with naming(self.parts[place].name):
                steps.append(Step(place, rows, self.parts[place].sample(given, generator)))
            if not self.alternatives and number < len(drawn) - 1:  # what the next one draws may depend on it
                result = self._after(result, result, steps[-1])
        return Draw(steps, batch, result)

    def apply(self, batch: WeightBatch, params: Draw) -> WeightBatch:
        """Applies each part to its networks."""
        result, steps = batch, params.steps
        if batch is params.given and not self.alternatives:  # sample has applied all but the last
            result, steps = params.before_last, steps[-1:]
        for step in steps:
            result = self._after(batch if self.alternatives else result, result, step)
        return result

    def _given(self, networks: WeightBatch, place: int, rows: Tensor | None) -> WeightBatch:
        """What a part gets: its networks, or all, if it mixes them."""
        return networks if rows is None or self.parts[place].mixes else networks.select(rows)

    def _after(self, networks: WeightBatch, result: WeightBatch, step: Step) -> WeightBatch:
        """The result so far, with the networks of a step as its part makes them."""
        part, rows = self.parts[step.place], step.rows
        with naming(part.name):
            changed = part.applied(self._given(networks, step.place, rows), step.params)
        if rows is None:
            return changed
        return put(result, rows, changed.select(rows) if part.mixes else changed)

    def coordinates(self, x: Tensor, params: Draw) -> Tensor:
        """The points of each network, moved by its parts from the last to the first."""
        points = x.expand(len(params.given), *x.shape[-2:]).clone()
        for place, rows, drawn in reversed(params.steps):
            part = self.parts[place]
            if part.exact != "input":
                continue
            if rows is None:
                points = part.coordinates(points, drawn)
            elif part.mixes:
                points = points.index_copy(0, rows, part.coordinates(points, drawn)[rows])
            else:
                points = points.index_copy(0, rows, part.coordinates(points[rows], drawn))
        return points


def _weakest(kinds: Sequence[str | None]) -> str | None:
    """What holds where one of these holds for each part."""
    return None if None in kinds else "input" if "input" in kinds else "function"


def _rows(taken: Tensor, batch: WeightBatch) -> Tensor | None:
    """The networks for which a step is drawn, on the batch's device; None: all."""
    return None if taken.all() and len(batch) else taken.nonzero().flatten().to(batch.device)
