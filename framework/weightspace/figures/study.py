"""The figure of a study: each variant's metric, and its difference to the baseline with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from matplotlib.figure import Figure

from weightspace.runs.metric_text import deviation, is_share
from weightspace.studies.study import Study
from weightspace.studies.table import Entry
from weightspace.text import figure_text


def differences_figure(study: Study, entries: Mapping[tuple[str, str], Entry]) -> Figure:
    """Two panels with a line for each variant: mean and deviation over seeds, difference with its 95% interval.

    Args:
        study: the study.
        entries: of its table.
    """
    metric, names = study.metrics[0], list(study.variants)
    scale = 100 if is_share(metric) else 1
    columns = list(study.every_column)
    figure = Figure(figsize=(9, 1.4 + 0.32 * len(names) * max(1, 0.6 * len(columns))), layout="constrained")
    values, differences = figure.subplots(1, 2, sharey=True)
    for number, column in enumerate(columns):
        shift = 0.6 * ((number + 0.5) / len(columns) - 0.5)
        style = {"fmt": "o", "markersize": 4, "capsize": 2, "color": f"C{number}"}
        shown = study.variants_in(column)
        for name in shown:
            entry, place = entries[name, column], names.index(name) + shift
            found = [scale * value for value in entry.values(metric)]
            label = figure_text(column) if name == shown[0] and column else None
            if found:
                values.errorbar(mean(found), place, xerr=deviation(found), label=label, **style)
            gain = entry.difference
            if gain is not None:
                low, high = (gain.mean if end is None else end for end in (gain.low, gain.high))
                ends = [[scale * (gain.mean - low)], [scale * (high - gain.mean)]]
                differences.errorbar(scale * gain.mean, place, xerr=ends, **style)
    # two lines each: one line is wider than a panel beside long names
    unit = " (%)" if is_share(metric) else ""
    values.set_xlabel(f"{figure_text(metric, 30)}{unit}\nmean and deviation over seeds")
    points = " (points)" if is_share(metric) else ""
    differences.set_xlabel(f"difference{points}, 95% interval\nto {figure_text(study.baseline, 30)}")
    differences.axvline(0, color="0.6", linewidth=1)
    values.set_yticks(range(len(names)), [figure_text(name, 40) for name in names])
    values.invert_yaxis()
    for axes in (values, differences):
        axes.grid(axis="x", color="0.9")
    if len(columns) > 1:
        values.legend(fontsize="small")
    figure.suptitle(figure_text(study.title or study.name, 200), wrap=True)
    return figure
