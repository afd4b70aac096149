"""Reading the learning curves of runs from TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Sequence

from weightspace.errors import ConfigError
from weightspace.runs.folder import RunFolder

#: name of a metric -> [(step, value), ...]
Curves = dict[str, list[tuple[int, float]]]


def read_curves(folder: RunFolder) -> Curves:
    """Reads the metrics train/* and val/* that a run has logged, by step: of a step that was repeated, the last.

    Raises:
        ConfigError: the run has no event files.
    """
    if not any(folder.path.glob("events.out.tfevents.*")):
        raise ConfigError(f"{folder.path} has no curves: expected TensorBoard's event files there")
    # imported here because it takes longer than everything else, and tables of runs do not need it
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder.path), size_guidance={"scalars": 0})
    events.Reload()
    logged = set(events.Tags()["scalars"])
    names = sorted(name for name in logged if name.startswith(("train/", "val/")))
    return {name: sorted({e.step: e.value for e in events.Scalars(name)}.items()) for name in names}


def mean_curves(runs: Sequence[Curves]) -> Curves:
    """Averages the curves of several runs at the steps that all of them have.

    >>> mean_curves([{"loss": [(1, 2.0), (2, 1.0)]}, {"loss": [(1, 4.0)]}])
    {'loss': [(1, 3.0)]}
    """
    mean: Curves = {}
    for name in {name: None for run in runs for name in run}:
        values: dict[int, list[float]] = {}
        for run in runs:
            for step, value in dict(run.get(name, [])).items():
                values.setdefault(step, []).append(value)
        mean[name] = [(step, sum(v) / len(v)) for step, v in sorted(values.items()) if len(v) == len(runs)]
    return mean
