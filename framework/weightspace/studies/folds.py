"""The folds of a seed as one result: each object is tested once in them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from weightspace.studies.cells import Cell
from weightspace.studies.record import Record, Result
from weightspace.studies.study import Study


def whole_seeds(study: Study, cells: Sequence[Cell], record: Record) -> dict[int, Result]:
    """Results by seed: of a study with folds, those of the seeds of which all folds have ended.

    Args:
        study: the study.
        cells: its runs of one place.
        record: its results; those of other configurations are left out.
    """
    ended: dict[int, list[Result]] = {}
    for cell in cells:
        if record.holds(cell):
            ended.setdefault(cell.seed, []).append(record.results[cell.key])
    if not study.folds:
        return {seed: result for seed, (result,) in ended.items()}
    return {seed: over_folds(results) for seed, results in ended.items() if len(results) == study.folds}


def over_folds(results: Sequence[Result]) -> Result:
    """The result of all folds of a seed: as if their test networks had been tested at once.

    Args:
        results: by fold. Metrics are means over test networks, or over folds where no networks were counted.
    """
    first = results[0]
    weights = [result.count or 1 for result in results]
    metrics = {
        key: float(np.average([result.metrics[key] for result in results], weights=weights))
        for key in first.metrics
        if all(key in result.metrics for result in results)
    }
    return replace(
        first,
        digest="",
        config="",
        metrics=metrics,
        seconds=sum(result.seconds for result in results),
        whole=sum(result.whole for result in results),
        **_answers(results),
    )


def _answers(results: Sequence[Result]) -> dict[str, Any]:
    """What the folds are right about, one after another; nothing if that is not known of all."""
    right = [found for result in results if (found := result.right()) is not None]
    if len(right) < len(results):
        return {"objects": "", "count": sum(result.count for result in results), "correct": "", "views": ""}
    views = " ".join(result.views or f"1x{result.count}" for result in results)
    return {
        "objects": hashlib.sha256(",".join(result.objects for result in results).encode()).hexdigest()[:16],
        "count": sum(result.count for result in results),
        "correct": base64.b64encode(np.packbits(np.concatenate(right)).tobytes()).decode(),
        "views": views if any(result.views for result in results) else "",
    }
