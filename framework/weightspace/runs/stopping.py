"""Ending a run of several processes with an error."""

from __future__ import annotations

from typing import NoReturn

import lightning.pytorch as pl

from weightspace.runs.loops import is_started_by_lightning


def end_together(trainer: pl.Trainer, error: Exception) -> NoReturn:
    """Raises an error in every process of a run; all processes must call this at the same point.

    Processes that Lightning has started exit quietly with code 0 instead, since with another code Lightning would kill
    the first process before it can report the error.
    """
    if is_started_by_lightning(trainer):
        raise SystemExit(0)
    raise error
