"""The class numbers in batches: those of the zoo, or of the model that the batches are for."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.data.targets import Target, numbering


class Numbering:
    """Numbers the classes of a zoo.

    Args:
        own: target of the zoo.
        target: target of a model, whose numbers are used; None: those of the zoo.
        where: name of the zoo in error messages.

    Attributes:
        target: kind and names of the targets in batches.
        numbers: (K,) number in batches of each class of the zoo; None: its own.

    Raises:
        ConfigError: the zoo has classes that the model does not know, or another regression target.
    """

    def __init__(self, own: Target, target: Target | None, where: str) -> None:
        numbers = None if target is None else numbering(target, own, where)
        self.target = target or own
        self.numbers = None if numbers is None else torch.tensor(numbers)

    def targets(self, targets: Tensor) -> Tensor:
        """Targets of the zoo, with these numbers."""
        return targets if self.numbers is None else self.numbers[targets]

    def batch(self, batch: WeightBatch) -> WeightBatch:
        """A batch of the zoo, with these numbers."""
        if self.numbers is None:
            return batch
        assert batch.targets is not None
        return batch.replace(targets=self.numbers[batch.targets], num_classes=len(self.target.names))
