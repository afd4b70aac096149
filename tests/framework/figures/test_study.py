"""The figure of a study."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from weightspace.figures.study import differences_figure
from weightspace.studies.cells import cells_of
from weightspace.studies.record import Record, Result
from weightspace.studies.study import read_study
from weightspace.studies.table import entries_of


def test_labels_of_many_long_variants_do_not_overlap(tmp_path: Path) -> None:
    names = [f"mixup_aligned, permutation+sign+phase, and more {number}" for number in range(25)]
    variants = "".join(f"  {name}: {{a: {number}}}\n" for number, name in enumerate(names))
    (tmp_path / "base.yaml").write_text("a: -1\n")
    columns = "columns: {published strengths: {b: 1}, tamer: {b: 2}}"
    (tmp_path / "s.yaml").write_text(f"base: base.yaml\nseeds: [0, 1]\n{columns}\nvariants:\n{variants}")
    study = read_study(tmp_path / "s.yaml")
    cells, record = cells_of(study), Record(study.record_file)
    for cell in cells:
        record.take(cell, Result("", "c", {"test/accuracy": 0.5 + 0.01 * cell.seed}, 1.0))
    figure = differences_figure(study, entries_of(study, cells, record))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    labels = [axes.xaxis.label.get_window_extent(canvas.get_renderer()) for axes in figure.axes]
    assert labels[0].x1 < labels[1].x0
    assert labels[1].x1 <= figure.bbox.x1
    rows = [label.get_window_extent(canvas.get_renderer()) for label in figure.axes[0].get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in pairwise(rows))


def test_columns_of_the_baseline_alone_have_no_points_of_others(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: -1\n")
    columns = "columns: {few: {b: 1}, more: {b: 2}}\nbaseline_columns: {all: {b: 3}}\nbaseline: none\n"
    (tmp_path / "s.yaml").write_text(
        f"base: base.yaml\nseeds: [0, 1]\n{columns}variants: {{flip: {{a: 1}}, none: {{}}}}"
    )
    study = read_study(tmp_path / "s.yaml")
    cells, record = cells_of(study), Record(study.record_file)
    for cell in cells:
        record.take(cell, Result("", "c", {"test/accuracy": 0.5 + 0.01 * cell.seed}, 1.0))
    values, differences = differences_figure(study, entries_of(study, cells, record)).axes
    assert [text.get_text() for text in values.get_legend().get_texts()] == ["few", "more", "all"]
    assert (len(values.containers), len(differences.containers)) == (5, 2)
