"""How a run of several processes ends with an error."""

from __future__ import annotations

from typing import NoReturn

import lightning.pytorch as pl

from weightspace.runs.loops import is_started_by_lightning


def end_together(trainer: pl.Trainer, error: Exception) -> NoReturn:
    """Raises an error that every process of a run raises at the same place.

    The processes that Lightning has started itself end quietly instead, with exit code 0: at another, Lightning would
    kill the first process before it can say what happened.
    """
    if is_started_by_lightning(trainer):
        raise SystemExit(0)
    raise error
