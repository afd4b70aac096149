from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.cli import ReduceLROnPlateau
from torch.optim import LBFGS, SGD
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, OneCycleLR
from weightspace.errors import ConfigError
from weightspace.tasks.optim import Optimisation


class Classifier(torch.nn.Module):
    """An encoder with a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = torch.nn.Linear(3, 2), torch.nn.Linear(2, 2)


def slower(name: str) -> tuple[str, float]:
    """What fine-tuning does."""
    return ("encoder", 0.25) if name.startswith("encoder") else ("", 1.0)


def configured(**options: Any) -> tuple[torch.optim.Optimizer, dict[str, Any]]:
    made = Optimisation(**options).configure(Classifier(), lambda: 10, "val/loss", "min", slower)
    return made["optimizer"], made["lr_scheduler"]


def test_vectors_are_not_decayed_and_the_rate_warms_up_and_falls() -> None:
    made = Optimisation(0.1, 0.5, 0.2).configure(torch.nn.Linear(3, 2), lambda: 10, "val/loss", "min")
    optimiser, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert [group["name"] for group in optimiser.param_groups] == ["weights", "vectors"]
    assert [(len(g["params"]), g["weight_decay"]) for g in optimiser.param_groups] == [(1, 0.5), (1, 0.0)]
    rates = []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.05, 0.1, 0.1])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0)


def test_groups_have_names_after_a_state_without_names_is_loaded() -> None:
    optimiser = Optimisation(0.1, 0.5, 0.2).build_optimiser(torch.nn.Linear(3, 2), lambda _: ("", 1.0))
    state = optimiser.state_dict()
    for group in state["param_groups"]:
        del group["name"]
    optimiser.load_state_dict(state)
    assert [group["name"] for group in optimiser.param_groups] == ["weights", "vectors"]


def advanced(steps: int, **options: Any) -> tuple[torch.optim.Optimizer, Any]:
    optimiser, schedule = configured(**options)
    for _ in range(steps):
        optimiser.step()
        schedule["scheduler"].step()
    return optimiser, schedule["scheduler"]


def adamw(rate: float, decay: float) -> dict[str, Any]:
    return {"learning_rate": rate, "weight_decay": decay}


def sgd(rate: float, decay: float) -> dict[str, Any]:
    return {"optimizer": partial(SGD, lr=rate, weight_decay=decay)}


@pytest.mark.parametrize("options", [adamw, sgd])
def test_a_resumed_run_has_the_rates_that_are_asked_for(options: Callable[..., dict[str, Any]]) -> None:
    saved, saved_schedule = advanced(4, **options(0.1, 0.5))
    asked = options(0.3, 0.2)
    resumed, schedule = configured(**asked)
    resumed.load_state_dict(saved.state_dict())
    schedule["scheduler"].load_state_dict(saved_schedule.state_dict())
    expected, expected_schedule = advanced(4, **asked)
    for _ in range(3):
        for group, other in zip(resumed.param_groups, expected.param_groups, strict=True):
            assert {k: v for k, v in group.items() if k != "params"} == {
                k: v for k, v in other.items() if k != "params"
            }
        assert schedule["scheduler"].get_last_lr() == expected_schedule.get_last_lr()
        for optimiser, after in ((resumed, schedule["scheduler"]), (expected, expected_schedule)):
            optimiser.step()
            after.step()


def test_a_schedule_of_ones_own_is_resumed_with_its_rate_alone() -> None:
    own = {"scheduler": partial(CosineAnnealingLR, T_max=10)}
    saved, _ = advanced(2, learning_rate=0.1, **own)
    same, other = (configured(learning_rate=rate, **own)[0] for rate in (0.1, 0.3))
    same.load_state_dict(saved.state_dict())
    with pytest.raises(ConfigError, match=r"learning rate 0\.025, and 0\.075 is asked for: your scheduler goes on"):
        other.load_state_dict(saved.state_dict())


def test_an_optimiser_of_ones_own_has_adamws_schedule_and_keeps_the_parts_of_its_rate() -> None:
    optimiser, schedule = configured(optimizer=partial(SGD, lr=0.1, weight_decay=0.01), warmup=0.0)
    assert type(optimiser) is SGD
    assert [(group["name"], group["lr"]) for group in optimiser.param_groups] == [("encoder", 0.025), ("head", 0.1)]
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.01}
    assert schedule["interval"] == "step"
    whole = Optimisation(optimizer=LBFGS).configure(Classifier(), lambda: 10, "val/loss", "min")["optimizer"]
    assert len(whole.param_groups[0]["params"]) == 4, "one group is given as parameters: LBFGS takes no others"


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_schedule_of_ones_own_is_stepped_as_it_is_asked(interval: str) -> None:
    optimiser, schedule = configured(scheduler=partial(CosineAnnealingLR, T_max=4), scheduler_interval=interval)
    assert type(optimiser).__name__ == "AdamW"
    assert isinstance(schedule["scheduler"], CosineAnnealingLR)
    assert schedule["interval"] == interval


def test_a_plateau_looks_at_its_own_metric_or_at_that_of_the_task() -> None:
    assert configured(scheduler=partial(ReduceLROnPlateau, monitor="val/f1", mode="max"))[1]["monitor"] == "val/f1"
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
    assert configured(scheduler=plateau)[1]["monitor"] == "val/loss"
    with pytest.raises(ConfigError, match="of val/loss min is better, found mode 'max'"):
        configured(scheduler=partial(plateau, mode="max"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"optimizer": SGD, "learning_rate": 0.1},
            r"learning_rate \(0.1\) would be ignored.*the optimizer that is given",
        ),
        ({"optimizer": SGD, "weight_decay": 0.0}, r"weight_decay \(0.0\) would be ignored"),
        ({"scheduler": ConstantLR, "warmup": 0.0}, r"warmup \(0.0\) would be ignored.*the scheduler that is given"),
        ({"scheduler_interval": "step"}, "scheduler_interval has no effect without a scheduler"),
        ({"scheduler": ConstantLR, "scheduler_interval": "day"}, "must be epoch or step, found 'day'"),
        (
            {"scheduler": partial(OneCycleLR, max_lr=0.1, total_steps=9)},
            r"OneCycleLR sets the learning rates by itself",
        ),
        (
            {"scheduler": partial(ReduceLROnPlateau, monitor="x"), "scheduler_interval": "step"},
            "is stepped after each epoch",
        ),
        ({"optimizer": lambda parameters: None}, "expected a torch optimizer, found a NoneType"),
        ({"scheduler": lambda optimiser: 0.1}, "expected a learning rate scheduler, found a float"),
    ],
)
def test_what_would_be_ignored_or_lost_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(**options)


def test_values_that_a_saved_configuration_has_by_default_are_no_conflict() -> None:
    Optimisation(2e-3, 1e-2, 0.1, optimizer=SGD, scheduler=ConstantLR)
