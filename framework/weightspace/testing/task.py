"""Checking the contract of a task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from weightspace.data import ZooDataModule
from weightspace.tasks import Task
from weightspace.testing.check import Case, Check, contract, run_checks
from weightspace.testing.small_zoo import small_zoo
from weightspace.testing.task_rules import BASIC, OTHERS, Trial


def task_checks(make: Callable[[], Task], **data: Any) -> list[Check]:
    """One check for each rule of the contract, on a small zoo: of numbers, where the head predicts them, or of classes.

    Args:
        make: a function without arguments that makes the task, for instance ``lambda: MyTask(backbone=MLP)``.
        data: further arguments of the ``ZooDataModule``, for instance ``positives="views"`` of a task on pairs.

    Raises:
        AssertionError: no task is made.
    """
    try:
        task = make()
    except Exception as error:
        raise AssertionError(f"the task cannot be made: {type(error).__name__}: {error}") from error
    assert isinstance(task, Task), f"expected a function that makes a task, it made a {type(task).__name__}"
    zoo = small_zoo("value" if task.head == "value" else "class")
    served = partial(ZooDataModule, str(zoo), **{"batch_size": 8, **data})
    trial = Trial(make, served)
    return contract(type(task).__name__, BASIC, OTHERS, lambda: [Case((trial,))])


def check_task(make: Callable[[], Task], **data: Any) -> None:
    """Checks every rule of the contract.

    Args:
        make: a function without arguments that makes the task.
        data: further arguments of the ``ZooDataModule``.

    Raises:
        AssertionError: lists all rules that are broken, with numbers.

    >>> from weightspace.backbones import MLP
    >>> from weightspace.tasks import SupervisedTask
    >>> check_task(lambda: SupervisedTask(MLP))
    """
    run_checks(task_checks(make, **data))
