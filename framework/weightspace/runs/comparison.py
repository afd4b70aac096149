"""Comparing runs: columns of metrics, and of the configuration keys in which the runs differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from weightspace.errors import ConfigError, closest
from weightspace.files import read_json
from weightspace.runs.flat_config import differing, read_flat, value_text
from weightspace.runs.folder import RunFolder
from weightspace.runs.metric_text import deviation, mean_text, metric_text

#: Titles of the metrics that a report shows by default: (command, key).
TITLES = {
    ("test", "test/accuracy"): "test accuracy",
    ("test", "internal_test/accuracy"): "internal test",
    ("test", "test/r2"): "test R2",
    ("test", "test/kendall"): "test tau",
    ("test", "test/mse"): "test MSE",
    ("test", "test/regret"): "test regret",
    ("fit", "best val/r2"): "best val R2",
    ("fit", "best val/accuracy"): "best val accuracy",
    ("fit", "networks_per_second"): "networks/s",
    ("fit", "seconds"): "seconds",
}


@dataclass(frozen=True)
class Column:
    """A column of a table that compares runs.

    Args:
        title: its heading.
        values: numbers or texts of the rows for machine-readable formats; None for missing ones.
        texts: formatted values of the rows for tables.
        whole: whether its texts are never folded, as for names.
    """

    title: str
    values: list[Any]
    texts: list[str]
    whole: bool = False


def compare(
    folders: list[RunFolder],
    asked: list[str] | None = None,
    average: bool = False,
    beside: Callable[[str, str], list[Column]] | None = None,
) -> list[Column]:
    """Compares runs in columns with a row for each run, or for each experiment with means over its runs.

    Args:
        folders: folders of the runs.
        asked: keys of metrics in ``metrics.json``, with the prefix "fit:", "validate:" or "test:" if several commands
            have the key; None: the default ones.
        average: whether there is a row for each experiment instead of each run.
        beside: makes further columns, which are put beside the first metric, from its command and key.

    Raises:
        ConfigError: no run has a metric, or a file is damaged.
    """
    groups = by_experiment(folders) if average else {str(folder.path): [folder] for folder in folders}
    metrics = {name: [folder.read_metrics() for folder in runs] for name, runs in groups.items()}
    every = [found for group in metrics.values() for found in group]
    columns = [Column("experiment" if average else "run", list(groups), list(groups), whole=True)]
    if average:
        counts = [len(runs) for runs in groups.values()]
        columns.append(Column("runs", counts, list(map(str, counts))))
    else:
        columns.append(_parameters(folders))
    for place, (command, key) in enumerate(_chosen(asked, every)):
        numbers = [[m[command][key] for m in group if _has(m, command, key)] for group in metrics.values()]
        columns += _metric(TITLES.get((command, key), key), key, numbers, average)
        if beside is not None and place == 0:
            columns += beside(command, key)
    configs = [[read_flat(run.path / "config.yaml") for run in runs] for runs in groups.values()]
    return columns + _differences(configs)


def by_experiment(folders: list[RunFolder]) -> dict[str, list[RunFolder]]:
    """Groups runs by experiment, that is by the folder of all seeds."""
    groups: dict[Path, list[RunFolder]] = {}
    for folder in folders:
        groups.setdefault(folder.path.resolve().parent, []).append(folder)
    return {str(runs[0].path.parent): runs for runs in groups.values()}


def _parameters(folders: list[RunFolder]) -> Column:
    found = [
        read_json(folder.path / "provenance.json", ConfigError, "the provenance of a run").get("parameters")
        for folder in folders
    ]
    counts = [count if isinstance(count, int) else None for count in found]
    return Column("parameters", counts, ["" if count is None else f"{count:,}" for count in counts])


def _chosen(asked: list[str] | None, every: list[dict[str, dict[str, float]]]) -> list[tuple[str, str]]:
    """Chooses the metrics to show: (command, key)."""
    there = list(dict.fromkeys((c, k) for m in every for c in m for k in m[c] if _has(m, c, k)))
    if asked is not None:
        return [_find(name, there) for name in asked]
    tests = [key for key in there if key[0] == "test"]
    custom = [] if set(tests) & TITLES.keys() else tests  # a custom task: all its metrics
    best = [(c, k) for c, k in there if k.startswith("best ") and (c, k) not in TITLES]
    return [*custom, *(key for key in TITLES if key in there), *best]


def _find(name: str, there: list[tuple[str, str]]) -> tuple[str, str]:
    command, colon, key = name.partition(":")
    found = [(c, k) for c, k in there if (c, k) == (command, key) or (not colon and k == name)]
    if not found:
        raise ConfigError(f"no run has the metric {name!r}: {closest(name, {k for _, k in there})}")
    return found[0]


def _has(metrics: dict[str, dict[str, float]], command: str, key: str) -> bool:
    value = metrics.get(command, {}).get(key)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _metric(title: str, key: str, numbers: list[list[float]], average: bool) -> list[Column]:
    values = [mean(group) if group else None for group in numbers]
    write: Callable[[list[float]], str] = lambda group: metric_text(key, group[0]) if group else ""  # noqa: E731
    texts = [mean_text(key, group) if average else write(group) for group in numbers]
    columns = [Column(title, values, texts)]
    if average:  # only machine-readable: tables show it in the cell of the mean
        columns.append(Column(f"{title} deviation", list(map(deviation, numbers)), []))
    return columns


def _differences(configs: list[list[dict[str, Any]]]) -> list[Column]:
    """Makes a machine-readable column for each key, and one column of all for tables."""
    flat = [config for group in configs for config in group if config]
    keys = differing(flat) if len(flat) > 1 else []
    found = {key: [_values(key, group) for group in configs] for key in keys}
    columns = [Column(key, list(values), []) for key, values in found.items()]
    texts = [", ".join(f"{key}: {values[row]}" for key, values in found.items()) for row in range(len(configs))]
    return [*columns, Column("differs in", [], texts)] if keys else []


def _values(key: str, group: list[dict[str, Any]]) -> str:
    """The values of a group's runs: one, or several separated by bars."""
    return " | ".join(dict.fromkeys(value_text(key, config) for config in group))
