"""Results of another configuration: a table leaves them out, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.cli.study import study_cli
from weightspace.errors import ConfigError
from weightspace.studies.cells import cells_of
from weightspace.studies.record import Record, Result
from weightspace.studies.study import read_study


def test_a_table_says_how_many_results_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    (tmp_path / "base.yaml").write_text("a: 0\n")
    path.write_text("base: base.yaml\nseeds: [0, 1]\nvariants: {none: {}, more: {a: 1}}\n")
    study = read_study(path)
    record = Record(study.record_file)
    for cell in cells_of(study):
        record.take(cell, Result("", "c", {"test/accuracy": 0.5}, 1.0))
    record.write()
    asked = [str(path), "--table", "--out", str(tmp_path / "out")]
    study_cli(asked)
    assert "left out" not in capsys.readouterr().out
    path.write_text(path.read_text().replace("a: 1", "a: 2"))
    study_cli(asked)
    assert "(2 of another configuration than the study has now are left out)" in capsys.readouterr().out
    (tmp_path / "base.yaml").write_text("b: 3\n")
    with pytest.raises(ConfigError, match=r"holds no result of .* \(4 of another configuration"):
        study_cli(asked)
