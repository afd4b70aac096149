"""The optimiser and schedule of a task: AdamW with warm-up and cosine, or user-defined ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from weightspace.checks import check_choice, check_number, require
from weightspace.errors import ConfigError

#: As Lightning's types of the same names, which are not imported because that takes a tenth of a second.
OptimizerCallable = Callable[[Iterable[Any]], Optimizer]
LRSchedulerCallable = Callable[[Optimizer], LRScheduler]
#: Group of a parameter ("" is the default group), and the factor of its learning rate.
Role = tuple[str, float]
#: When a user-defined scheduler is stepped.
INTERVALS = ("epoch", "step")


@dataclass(frozen=True)
class Optimisation:
    """Optimiser and schedule; by default AdamW with linear warm-up, then a cosine to zero at the last step.

    Args:
        learning_rate: peak learning rate of AdamW, > 0.
        weight_decay: weight decay of AdamW, >= 0; biases, norms and other vectors have none.
        warmup: fraction of all steps in [0, 1) before the cosine.
        optimizer: makes an optimiser, with its own learning rate, from the parameters, instead of AdamW.
        scheduler: makes a schedule from the optimiser, instead of warm-up and cosine.
        scheduler_interval: whether the ``scheduler`` is stepped after each "epoch" or "step".

    Raises:
        ConfigError: a value is out of range, or would be ignored because of ``optimizer`` or ``scheduler``.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    optimizer: OptimizerCallable | None = None
    scheduler: LRSchedulerCallable | None = None
    scheduler_interval: str = "epoch"

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("weight_decay", self.weight_decay, low=0)
        check_number("warmup", self.warmup, low=0, below=1)
        for name, made in (("optimizer", self.optimizer), ("scheduler", self.scheduler)):
            example = {"optimizer": "partial(SGD, lr=0.1)", "scheduler": "partial(StepLR, step_size=5)"}[name]
            require(name, made, made is None or callable(made), f"a class or function that makes one, as {example}")
        check_choice("scheduler_interval", self.scheduler_interval, INTERVALS)
        if self.optimizer is not None:
            self._refuse_ignored("optimizer", "AdamW's", "learning_rate", "weight_decay")
        if self.scheduler is not None:
            self._refuse_ignored("scheduler", "of the schedule with a cosine", "warmup")
        elif self.scheduler_interval != "epoch":
            raise ConfigError(
                "scheduler_interval has no effect without a scheduler: warm-up and cosine change with each step"
            )

    def _refuse_ignored(self, given: str, whose: str, *names: str) -> None:
        """Refuses values other than the default; defaults are accepted because saved configurations contain them."""
        defaults = {field.name: field.default for field in fields(self)}
        ignored = [f"{name} ({getattr(self, name)})" for name in names if getattr(self, name) != defaults[name]]
        if ignored:
            raise ConfigError(
                f"{' and '.join(ignored)} would be ignored, being {whose}: the {given} that is given has its own "
                f"arguments. Leave out one or the other"
            )

    def configure(
        self,
        module: nn.Module,
        steps: Callable[[], int],
        monitor: str,
        mode: str,
        role: Callable[[str], Role] = lambda _: ("", 1.0),
        fused: bool = True,
    ) -> dict[str, Any]:
        """Builds optimiser and schedule in the form that ``configure_optimizers`` returns.

        Args:
            module: module whose parameters with gradients are optimised.
            steps: returns the number of steps of the run, which warm-up and cosine need.
            monitor: the metric for a ``ReduceLROnPlateau`` without a metric of its own.
            mode: whether "max" or "min" of it is better.
            role: group and learning-rate factor of a parameter by its name; all parameters of a group have one factor.
            fused: whether AdamW is torch's fused one.

        Raises:
            ConfigError: the given optimiser or scheduler is of another type, or would ignore the factors.
        """
        optimiser = self.build_optimiser(module, role, fused)
        if self.scheduler is None:
            total = steps()
            schedule = WarmCosine(optimiser, lambda step: self.factor(step, total))
            how = {"scheduler": schedule, "interval": "step", "name": "rate"}
        else:
            how = self._own_schedule(optimiser, self.scheduler, monitor, mode)
        _keep_configured(optimiser, own_schedule=self.scheduler is not None)
        return {"optimizer": optimiser, "lr_scheduler": how}

    def build_optimiser(self, module: nn.Module, role: Callable[[str], Role], fused: bool = True) -> Optimizer:
        """Builds AdamW with groups "weights" and "vectors", or the given optimiser; see ``configure``."""
        own = self.optimizer is not None
        members: dict[tuple[Role, bool], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                members.setdefault((role(name), parameter.ndim >= 2 and not own), []).append(parameter)
        if self.optimizer is not None:
            return _own_optimiser(self.optimizer, {which: parameters for (which, _), parameters in members.items()})
        groups: list[dict[str, Any]] = []
        for ((prefix, part), matrix), parameters in members.items():
            name = f"{prefix}_{'weights' if matrix else 'vectors'}".lstrip("_")
            rates = {"weight_decay": self.weight_decay if matrix else 0.0, "lr": part * self.learning_rate}
            groups.append({"name": name, "params": parameters, **rates})
        optimiser = AdamW(groups, fused=fused)
        names = [group["name"] for group in groups]
        optimiser.register_load_state_dict_post_hook(lambda loaded: _name(loaded, names))
        return optimiser

    def _own_schedule(self, optimiser: Optimizer, make: LRSchedulerCallable, monitor: str, mode: str) -> dict[str, Any]:
        before = _base_rates(optimiser)
        schedule: Any = make(optimiser)
        if not callable(getattr(schedule, "step", None)) or not hasattr(schedule, "state_dict"):
            raise ConfigError(f"scheduler: expected a learning rate scheduler, found a {type(schedule).__name__}")
        _check_proportions(before, _base_rates(optimiser), type(schedule).__name__)
        if isinstance(schedule, ReduceLROnPlateau) and self.scheduler_interval != "epoch":
            raise ConfigError("ReduceLROnPlateau is stepped after each epoch: leave scheduler_interval out")
        own = getattr(schedule, "monitor", None)  # only Lightning's ReduceLROnPlateau has one
        if own is None and getattr(schedule, "mode", mode) != mode:
            raise ConfigError(f"{type(schedule).__name__}: of {monitor} {mode} is better, found mode {schedule.mode!r}")
        return {"scheduler": schedule, "interval": self.scheduler_interval, "name": "rate", "monitor": own or monitor}

    def factor(self, step: int, steps: int) -> float:
        """The factor of the peak learning rate at a step.

        >>> optimisation = Optimisation(1e-3, 0.0, 0.5)
        >>> [round(optimisation.factor(step, 4), 2) for step in range(5)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
        """
        warm = int(self.warmup * steps)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


class WarmCosine(LambdaLR):
    """A LambdaLR that a resumed run continues with its own rates and factors, not with those of the checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position, and sets the rates that this schedule has there."""
        configured = self.base_lrs
        super().load_state_dict(state_dict)
        self.base_lrs = configured
        for group, rate, factor in zip(self.optimizer.param_groups, configured, self.lr_lambdas, strict=True):
            group["lr"] = rate * factor(self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


def _keep_configured(optimiser: Optimizer, own_schedule: bool) -> None:
    """Keeps weight decay and the rates before the schedule as configured, where a checkpoint has others.

    A user's schedule restores rates by itself: the hook raises ConfigError if the checkpoint began with others.
    """
    kept = ("initial_lr", "weight_decay")
    configured = [{name: group[name] for name in kept if name in group} for group in optimiser.param_groups]

    def keep(loaded: Optimizer) -> None:
        for group, own in zip(loaded.param_groups, configured, strict=True):
            before, now = group.get("initial_lr"), own.get("initial_lr")
            if own_schedule and None not in (before, now) and before != now:
                raise ConfigError(
                    f"the checkpoint was trained with the learning rate {before:g}, and {now:g} is asked for: your "
                    "scheduler goes on with the rate of the checkpoint. Resume with that, or begin a new run"
                )
            group.update(own)

    optimiser.register_load_state_dict_post_hook(keep)


def _own_optimiser(make: OptimizerCallable, members: dict[Role, list[nn.Parameter]]) -> Optimizer:
    """Builds the given optimiser and multiplies its learning rate by the factor of each group."""
    groups = [{"name": name or "head", "params": parameters} for (name, _), parameters in members.items()]
    optimiser: Any = make(groups if len(groups) > 1 else groups[0]["params"])
    if not isinstance(optimiser, Optimizer):
        raise ConfigError(f"optimizer: expected a torch optimizer, found a {type(optimiser).__name__}")
    for group, (_, part) in zip(optimiser.param_groups, members, strict=True):
        if part != 1.0:
            group["lr"] = part * group["lr"]
    return optimiser


def _base_rates(optimiser: Optimizer) -> list[float]:
    """Learning rates of the groups before a schedule."""
    return [float(group.get("initial_lr", group.get("lr", 1.0))) for group in optimiser.param_groups]


def _check_proportions(before: list[float], after: list[float], schedule: str) -> None:
    """Raises ConfigError if a schedule gives one learning rate to groups with different ones."""
    for a, b in zip(after, before, strict=True):
        if abs(a * before[0] - b * after[0]) > 1e-6 * abs(b * after[0]):
            raise ConfigError(
                f"{schedule} sets the learning rates by itself ({', '.join(f'{r:g}' for r in after)}), and groups of "
                f"parameters would lose their own ({', '.join(f'{r:g}' for r in before)}): take a scheduler that "
                "scales them, or one rate for all (encoder_rate: 1)"
            )


def _name(optimiser: Optimizer, names: list[str]) -> None:
    """Names the groups again, since loading a state of an earlier version, without names, removes them."""
    for group, name in zip(optimiser.param_groups, names, strict=True):
        group["name"] = name
