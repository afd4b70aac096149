"""Whether a run trains compiled or eagerly: decided once, when it begins, by arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import torch

from weightspace.backbones.base import Backbone
from weightspace.backbones.compiling import multiply_adds
from weightspace.batch import WeightBatch
from weightspace.checks import check_choice, require
from weightspace.errors import ConfigError

#: The argument of tasks: True, False or "auto".
Compile = bool | str
#: Key of a checkpoint's entry, which is one of ``MODES``.
KEY = "mode"
MODES = ("eager", "compiled")
#: Forward and backward pass, in forward passes.
PASSES = 3


@dataclass(frozen=True)
class Mode:
    """How a run trains.

    Attributes:
        compiled: whether whole training batches are computed by compiled code.
        reason: why that was chosen; empty if it was asked for.
    """

    compiled: bool
    reason: str = ""

    @property
    def name(self) -> str:
        """One of ``MODES``."""
        return MODES[self.compiled]

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


def check_compile(value: Any) -> Compile:
    """Returns the argument ``compile`` of a task.

    Raises:
        ConfigError: it is none of its values.
    """
    known = value == "auto" if isinstance(value, str) else isinstance(value, bool)
    require("compile", value, known, "true, false or auto")
    checked: Compile = value
    return checked


def step_work(backbone: Backbone, networks: int) -> int:
    """Multiply-adds of the backbone's matrix products in a training step: three times those of a forward pass.

    Args:
        backbone: of the task.
        networks: number of networks in the step.
    """
    weight = next(backbone.parameters())
    params = torch.linspace(-1, 1, backbone.spec.num_params, dtype=weight.dtype, device=weight.device)
    return PASSES * networks * multiply_adds(backbone, WeightBatch(params.unsqueeze(0), backbone.spec))


def decide(steps: float, work: int, pays: float, name: str) -> Mode:
    """Compiled, if the whole run is long enough to repay it; equal arguments give an equal mode.

    Args:
        steps: training steps of the run, from its beginning; infinity: not known.
        work: multiply-adds of a step.
        pays: multiply-adds of a run from which compiling is repaid, see ``Backbone``.
        name: of the backbone.

    >>> print(decide(12_000, 9_000_000_000, 1e13, "DWS"))
    compiled: 12,000 steps of 9.0e+09 multiply-adds repay compiling DWS (from 1.0e+13)
    """
    if pays == inf:
        return Mode(False, f"{name} has no compile_pays, which says when compiling is repaid")
    if steps == inf:
        return Mode(False, "without max_epochs or max_steps it is not known whether compiling is repaid")
    compiled = steps * work >= pays
    answer = "repay" if compiled else "do not repay"
    return Mode(compiled, f"{steps:,} steps of {work:.1e} multiply-adds {answer} compiling {name} (from {pays:.1e})")


def resumed(asked: Compile, began: str) -> Mode:
    """The mode of a resumed run, which is that in which it began.

    Args:
        asked: the argument ``compile``.
        began: the mode in its checkpoint.

    Raises:
        ConfigError: the other one is asked for.
    """
    mode = Mode(began == "compiled", "as this run began" if asked == "auto" else "")
    if asked not in ("auto", mode.compiled):
        raise ConfigError(
            f"compile is {str(asked).lower()}, but the run that is resumed began {began}, and goes on so, bit for bit: "
            "leave compile out (auto), or begin another run"
        )
    return mode


def saved_mode(checkpoint: dict[str, Any]) -> str:
    """The mode of the run that has written a checkpoint; one without it is of a version that compiled only if asked.

    Raises:
        ConfigError: the entry is damaged.
    """
    if KEY in checkpoint:
        return check_choice("the checkpoint's mode", checkpoint[KEY], MODES)
    task = checkpoint.get("task")
    arguments = task.get("arguments") if isinstance(task, dict) else None
    return MODES[isinstance(arguments, dict) and arguments.get("compile") is True]
