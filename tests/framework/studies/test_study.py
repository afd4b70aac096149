"""Reading the file of a study: what it means, and one message for whatever it cannot mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.errors import ConfigError
from weightspace.studies.study import read_study

GOOD = """
base: base.yaml
seeds: [0, 1]
overrides: {trainer.max_epochs: 9, data.batch_size: 8}
columns: {short: {trainer.max_epochs: 1}, long: {trainer.max_epochs: 2}}
variants:
  none: {}
  noise 0.1: {data.augmentations: [noise], trainer.max_epochs: 3}
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text("trainer: {max_epochs: 5}\n")
    path = tmp_path / "table.yaml"
    path.write_text(GOOD)
    return path


def test_changes_of_variants_are_above_those_of_columns_and_of_the_study(written: Path) -> None:
    study = read_study(written)
    assert (study.name, study.baseline, study.metrics) == ("table", "none", ("test/accuracy",))
    assert study.base == written.parent / "base.yaml"
    assert study.record_file == written.parent / "table.study.json"
    assert study.changes("none", "long") == {"trainer": {"max_epochs": 2}, "data": {"batch_size": 8}}
    changes = study.changes("noise 0.1", "long")
    assert changes == {"trainer": {"max_epochs": 3}, "data": {"batch_size": 8, "augmentations": ["noise"]}}


def test_misspelt_names_in_braces_are_refused_and_other_braces_are_left(written: Path) -> None:
    written.write_text(GOOD.replace("data.batch_size: 8", "data.zoo: 'z/{variant}', log: ['{epoch:02d}', '{step}']"))
    changes = read_study(written).changes("none", "long")
    assert (changes["data"]["zoo"], changes["log"]) == ("z/none", ["{epoch:02d}", "{step}"])
    for place in ("log: ['a {varaint}']", "data.zoo: 'a {varaint}'"):
        written.write_text(GOOD.replace("data.batch_size: 8", place))
        with pytest.raises(ConfigError, match=r"none: \{varaint\} in 'a \{varaint\}' .* did you mean 'variant'"):
            read_study(written).changes("none", "long")


def test_without_columns_there_is_one_without_a_name(written: Path) -> None:
    written.write_text("base: base.yaml\nseeds: [3]\nvariants: {2000: {}, b: {x: 1}}\nbaseline: b\n")
    study = read_study(written)
    assert list(study.columns) == [""]
    assert list(study.variants) == ["2000", "b"]
    assert study.baseline == "b"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: [0, 1]", "seedz: [0, 1]", "unknown key 'seedz': did you mean 'seeds'"),
        ("seeds: [0, 1]", "", "seeds is missing"),
        ("base: base.yaml", "", "base is missing"),
        ("base: base.yaml", "base: other.yaml", "there is no base .*other.yaml: its path is relative to the study"),
        ("base: base.yaml", "base: [base.yaml]", "base should be a text"),
        ("seeds: [0, 1]", "seeds: [0, 1, 0]", "seed 0 is given twice"),
        ("seeds: [0, 1]", "seeds: 3", "list of integers in 0..4294967295, found 3"),
        ("seeds: [0, 1]", "seeds: []", "list of integers in 0..4294967295"),
        ("seeds: [0, 1]", "seeds: [true]", "list of integers in 0..4294967295"),
        ("seeds: [0, 1]", "seeds: [-1]", "list of integers in 0..4294967295"),
        ("seeds: [0, 1]", "seeds: [4294967296]", "list of integers in 0..4294967295"),
        ("seeds: [0, 1]", "seeds: [0]\nmetrics: [test/loss, test/loss]", "the metric test/loss is given twice"),
        ("seeds: [0, 1]", "seeds: [0]\nzoos: {a: 'fit --source \"b'}", "zoos: a: expected text like"),
        ("seeds: [0, 1]", "seeds: [0]\nzoos: {a: }", "zoos: a: expected text like .*, found None"),
        ("data.batch_size: 8", "seed_everything: 8", "overrides: seeds are a list of their own"),
        ("  none: {}", "  none: {ckpt_path: last}", "none: ckpt_path is given by the study"),
        ("  none: {}", "  1: {}\n  '1': {}", "the key '1' is there twice"),
        ("  none: {}", f"  {'n' * 201}: {{}}", "cannot be a folder's name: up to 200 letters"),
        ("seeds: [0, 1]", "seeds: [0]\nbaseline: nome", "the baseline 'nome' is no variant: did you mean 'none'"),
        ("seeds: [0, 1]", "seeds: [0]\nceiling: nome", "the ceiling 'nome' is no variant: did you mean 'none'"),
        ("seeds: [0, 1]", "seeds: [0]\nceiling: none", "the ceiling 'none' is the baseline"),
        ("seeds: [0, 1]", "seeds: [0]\nzoos: {a: fit &&}", "zoos: a: expected text like"),
        ("seeds: [0, 1]", "seeds: [0]\nmetrics: test/accuracy", "metrics should be a list of keys"),
        ("seeds: [0, 1]", "seeds: [0]\nzoos: [a]", "zoos should be a mapping"),
        ("  none: {}", "  ../none: {}", "cannot be a folder's name"),
        ("  none: {}", "  'none ': {}", "cannot be a folder's name"),
        (
            "short: {trainer.max_epochs: 1}",
            "1,200: {}",
            "columns: 1 says nothing: .* quote names with commas within braces",
        ),
        (
            "columns: {short: {trainer.max_epochs: 1}, long: {trainer.max_epochs: 2}}",
            "columns: []",
            "columns should be a map",
        ),
        ("  none: {}", "  none: 3", "variants: none should be a mapping, found 3"),
        ("  none: {}", "  none: {seed_everything: 3}", "variants: none: seeds are a list of their own"),
        ("  none: {}", "  noise 0.1: {}", "the key 'noise 0.1' is there twice"),
        ("  none: {}", "  none: {a.b: 1, a: {b: 1}}", "variants: none: a.b is given twice"),
        (GOOD, "- a\n", "a study should be a mapping"),
        (GOOD, "a: [", "is no YAML"),
        (GOOD, "base: base.yaml\nseeds: [0]\nvariants: {}", "variants has no entries"),
    ],
)
def test_what_a_study_cannot_mean_is_refused(written: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    written.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_study(written)


def test_files_that_cannot_be_read_are_refused(written: Path) -> None:
    written.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no YAML"):
        read_study(written)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_study(written.parent / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_study(written.parent)
