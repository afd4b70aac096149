"""The figure of a study whose columns are amounts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from weightspace.figures.worth import worth_figure
from weightspace.studies.amounts import amount
from weightspace.studies.cells import cells_of
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record, Result
from weightspace.studies.study import read_study
from weightspace.studies.table import entries_of

#: Of these, one is better than the baseline with all data, and one worse than it with the least.
GAINS = {"none": 0.0, "a": 0.05, "b": 0.02, "c": 0.03, "far above": 0.5, "below": -0.2}


def drawn(tmp_path: Path, long: str = "") -> Figure:
    names = {f"{name}{long}": gain for name, gain in GAINS.items()}
    variants = "".join(f"  {name}: {{a: {number}}}\n" for number, name in enumerate(names))
    columns = "columns: {500: {b: 1}, '2,000': {b: 2}, '10,000': {b: 3}}"
    extra = "baseline_columns: {'20,000': {b: 4}, '55,000': {b: 5}}\namounts: training objects"
    (tmp_path / "base.yaml").write_text("a: -1\n")
    (tmp_path / "s.yaml").write_text(f"base: base.yaml\nseeds: [0, 1]\n{columns}\n{extra}\nvariants:\n{variants}")
    study = read_study(tmp_path / "s.yaml")
    cells, record = cells_of(study), Record(study.record_file)
    for cell in cells:
        value = 0.1 + 0.05 * np.log(amount(cell.column) / 100) + names[cell.variant]
        record.take(cell, Result("", "c", {"test/accuracy": float(value) + 0.004 * cell.seed}, 1.0))
    entries = entries_of(study, cells, record)
    figure = worth_figure(study, entries, worths_of(study, entries))
    FigureCanvasAgg(figure).draw()
    return figure


def test_the_baseline_is_a_black_curve_over_all_amounts_and_the_others_have_colours(tmp_path: Path) -> None:
    values, factors = drawn(tmp_path).axes
    black, *others = [container.lines[0] for container in values.containers]
    assert to_hex(black.get_color()) == "#000000"
    assert black.get_xdata().tolist() == [500, 2000, 10000, 20000, 55000]
    assert all(line.get_xdata().tolist() == [500, 2000, 10000] for line in others)
    assert len({to_hex(line.get_color()) for line in others}) == len(others) == 5
    assert [values.get_xscale(), factors.get_xscale(), factors.get_yscale()] == ["log"] * 3
    assert [label.get_text() for label in factors.get_xticklabels()] == ["500", "2,000", "10,000"]
    assert "1x" in [label.get_text() for label in factors.get_yticklabels()]


def test_what_is_beyond_the_curve_is_an_arrow(tmp_path: Path) -> None:
    factors = drawn(tmp_path).axes[1]
    arrows = [(note.xy[1], note.get_position()[1]) for note in factors.texts]
    assert sorted(round(end, 2) for end, length in arrows if length > 0) == [5.5, 27.5, 110], "the end of the curve"
    assert sorted(round(end, 2) for end, length in arrows if length < 0) == [0.05, 0.25, 1], "its start"
    low, high = factors.get_ylim()
    assert all(low < end < high for end, _ in arrows)


def test_texts_do_not_overlap(tmp_path: Path) -> None:
    figure = drawn(tmp_path, " with a long name, permutation+sign+phase, and more of it that goes on and on")
    renderer = figure.canvas.get_renderer()
    values, factors = figure.axes
    (legend,) = figure.legends
    box = legend.get_window_extent(renderer)
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= min(axes.xaxis.label.get_window_extent(renderer).y0 for axes in (values, factors))
    assert factors.yaxis.label.get_window_extent(renderer).x0 >= values.bbox.x1
    for axes in (values, factors):
        ticks = [label.get_window_extent(renderer) for label in axes.get_xticklabels()]
        assert all(left.x1 < right.x0 for left, right in pairwise(ticks))
        assert axes.yaxis.label.get_window_extent(renderer).y1 <= figure.bbox.y1
