"""The figure of a study whose columns are amounts: accuracy by amount, and how much data each variant is worth."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from weightspace.runs.metric_text import deviation, is_share
from weightspace.studies.amounts import amount
from weightspace.studies.study import Study
from weightspace.studies.table import Entry
from weightspace.studies.worth import Worth
from weightspace.text import figure_text

#: Further variants have the same colours with another marker.
COLOURS, MARKERS = 10, "osDv"
#: Part of the distance between two amounts over which the variants are spread.
SPREAD = 0.4
#: Length of an arrow in points.
ARROW = 14


def worth_figure(
    study: Study, entries: Mapping[tuple[str, str], Entry], worths: Mapping[tuple[str, str], Worth]
) -> Figure:
    """Two panels over the amounts: mean and deviation of the metric, factor of data with its 95% interval.

    Args:
        study: with ``amounts``.
        entries: of its table.
        worths: of its table; what is beyond the baseline's curve is drawn as an arrow.
    """
    others = [name for name in study.variants if name != study.baseline]
    lines = len(study.variants)
    figure = Figure(figsize=(10, 4.4 + 0.22 * ((lines + 1) // 2)), layout="constrained")
    values, factors = figure.subplots(1, 2)
    _draw_curve(values, study, entries, study.baseline, {"color": "black", "marker": "o", "linewidth": 2})
    factors.axhline(1, color="black", linewidth=1)
    for number, name in enumerate(others):
        style = {"color": f"C{number % COLOURS}", "marker": MARKERS[number // COLOURS % len(MARKERS)]}
        _draw_curve(values, study, entries, name, style)
        shift = _step(study) ** (SPREAD * ((number + 0.5) / len(others) - 0.5))
        for column in study.columns:
            found = worths.get((name, column))
            if found is not None:
                _draw_factor(factors, amount(column) * shift, found, style)
    unit = " (%)" if is_share(study.metrics[0]) else ""
    values.set_ylabel(f"{figure_text(study.metrics[0], 30)}{unit}\nmean and deviation over seeds")
    factors.set_ylabel("factor of data, 95% interval\n1x: as much as the variant has")
    for axes, columns in ((values, study.every_column), (factors, study.columns)):
        _amount_axis(axes, list(columns), study.amounts)
    _factor_axis(factors)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    figure.suptitle(figure_text(study.title or study.name, 200), wrap=True)
    return figure


def _step(study: Study) -> float:
    """The smallest ratio of two amounts next to each other; 2 if there is one."""
    amounts = np.sort([amount(column) for column in study.columns])
    return float((amounts[1:] / amounts[:-1]).min()) if len(amounts) > 1 else 2.0


def _draw_curve(
    axes: Axes, study: Study, entries: Mapping[tuple[str, str], Entry], name: str, style: dict[str, Any]
) -> None:
    metric = study.metrics[0]
    scale = 100 if is_share(metric) else 1
    points = []
    for column in study.every_column:
        entry = entries.get((name, column))
        found = [scale * value for value in entry.values(metric)] if entry else []
        if found:
            points.append((amount(column), mean(found), deviation(found) or 0.0))
    label = figure_text(name, 45) + (" (baseline)" if name == study.baseline else "")
    x, y, spread = zip(*sorted(points), strict=True) if points else ((), (), ())
    axes.errorbar(x, y, yerr=spread or None, label=label, markersize=4, capsize=2, **style)


def _draw_factor(axes: Axes, place: float, found: Worth, style: dict[str, Any]) -> None:
    wanted = (found.low, found.factor, found.high)
    # where the baseline's curve ends, an arrow says that it is beyond
    low, factor, high = (
        min(max(found.factor if value is None else value, found.least), found.most) for value in wanted
    )
    axes.plot([place, place], [low, high], color=style["color"], linewidth=1.5)
    if 0 < found.factor < np.inf:
        axes.plot(place, factor, markersize=5, linestyle="none", **style)
    for end, length in ((found.least, -ARROW), (found.most, ARROW)):
        if (0 if length < 0 else np.inf) in wanted:
            arrow = {"arrowstyle": "<|-", "color": style["color"], "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
            axes.plot(place, end, marker="_", markersize=7, color=style["color"])
            axes.annotate("", (place, end), xytext=(0, length), textcoords="offset points", arrowprops=arrow)


def _amount_axis(axes: Axes, columns: list[str], label: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks([amount(column) for column in columns], list(map(figure_text, columns)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(figure_text(label, 60))
    axes.grid(color="0.92")


def _factor_axis(axes: Axes) -> None:
    """A logarithmic axis with ticks like 0.5x, 1x, 2x and 5x, which includes 1."""
    axes.set_yscale("log")
    axes.margins(y=0.1)  # room for arrows
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.8), max(high, 1.6))
    low, high = axes.get_ylim()
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = [tick for power in powers for tick in (power, 2 * power, 5 * power) if low <= tick <= high]
    axes.set_yticks(ticks)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
