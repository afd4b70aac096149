"""The optimiser and schedule that all tasks share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from weightspace.checks import check_number


@dataclass(frozen=True)
class Optimisation:
    """AdamW, linear warm-up, then a cosine to zero at the last step.

    Args:
        learning_rate: the peak, > 0.
        weight_decay: >= 0; biases, norms and other vectors have none.
        warmup: part of all steps in [0, 1).

    Raises:
        ConfigError: a value out of range.
    """

    learning_rate: float
    weight_decay: float
    warmup: float

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("weight_decay", self.weight_decay, low=0)
        check_number("warmup", self.warmup, low=0, below=1)

    def build(
        self, module: nn.Module, steps: int, role: Callable[[nn.Parameter], tuple[str, float]] = lambda _: ("", 1.0)
    ) -> tuple[AdamW, LambdaLR]:
        """Optimiser of the module's parameters, in groups named "weights" and "vectors", and a schedule over the steps.

        Args:
            module: whose parameters.
            steps: of the whole run.
            role: of a parameter: what its group's name begins with ("encoder_"), and its part of the learning rate,
                which is the same for all with this beginning.
        """
        groups: dict[tuple[str, bool], dict[str, Any]] = {}
        for parameter in module.parameters():
            if parameter.requires_grad:
                (prefix, part), matrix = role(parameter), parameter.ndim >= 2
                group = {
                    "name": f"{prefix}{'weights' if matrix else 'vectors'}",
                    "params": [],
                    "weight_decay": self.weight_decay if matrix else 0.0,
                    "lr": part * self.learning_rate,
                }
                groups.setdefault((prefix, matrix), group)["params"].append(parameter)
        optimiser = AdamW(list(groups.values()), fused=True)
        names = [group["name"] for group in groups.values()]
        optimiser.register_load_state_dict_post_hook(lambda loaded: _name(loaded, names))
        return optimiser, LambdaLR(optimiser, lambda step: self.factor(step, steps))

    def factor(self, step: int, steps: int) -> float:
        """Part of the peak rate at a step.

        >>> optimisation = Optimisation(1e-3, 0.0, 0.5)
        >>> [round(optimisation.factor(step, 4), 2) for step in range(5)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
        """
        warm = int(self.warmup * steps)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _name(optimiser: Optimizer, names: list[str]) -> None:
    """Names the groups again: a state of before, which has no names, has taken them away."""
    for group, name in zip(optimiser.param_groups, names, strict=True):
        group["name"] = name
