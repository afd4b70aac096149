"""Experiments differ from those with which they are compared in the keys that they name alone; studies can be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main

FOLDER = Path(__file__).parents[1] / "experiments"
STUDIES = sorted((FOLDER / "studies").glob("*.yaml"))
EXPERIMENTS = sorted({path.relative_to(FOLDER).as_posix() for path in {*FOLDER.rglob("*.yaml")} - {*STUDIES}})

#: compared with nothing, or the first of its group; every other experiment has a line "# Differs from ... in: ..."
STAND_ALONE = {
    "quickstart.yaml",
    "ssl_pretrain.yaml",
    "ssl_finetune.yaml",
    "fmnist/supervised.yaml",
    "furniture/supervised.yaml",
    "edits/dilation.yaml",
    "fmnist/pretrain.yaml",
    "fmnist/finetune_5pct.yaml",
    "generalization/dws.yaml",
    "generalization/cnns.yaml",
}


def leaves(config: object, prefix: str = "") -> dict[str, object]:
    """The values of a configuration by dotted key; a list is one value."""
    if not isinstance(config, dict):
        return {prefix: config}
    return {key: value for name in config for key, value in leaves(config[name], f"{prefix}.{name}").items()}


def differences(first: Path, second: Path) -> set[str]:
    """Dotted keys of the values that two YAML files do not share."""
    a, b = (leaves(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in (first, second))
    return {key.lstrip(".") for key in a.keys() | b.keys() if key not in a or key not in b or a[key] != b[key]}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_differ_in_the_keys_that_they_name(name: str) -> None:
    path = FOLDER / name
    text = path.read_text(encoding="utf-8")
    stated = re.findall(r"^# Differs from (\S+) in: (.+)$", text, flags=re.MULTILINE)
    assert bool(stated) != (name in STAND_ALONE), "add '# Differs from BASE.yaml in: KEYS', or a line in STAND_ALONE"
    for base, keys in stated:
        found = differences(path, path.parent / base)
        named = {key: {k for k in found if f"{k}.".startswith(f"{key}.")} for key in keys.split(", ")}
        assert all(named.values()), f"the same in {base}: {[key for key in named if not named[key]]}"
        assert found == set().union(*named.values()), f"not named, but another value in {base}"


def test_no_stand_alone_experiment_has_gone() -> None:
    assert set(EXPERIMENTS) >= STAND_ALONE


@pytest.mark.studies
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_can_be_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the fits: keys, values, augmentations and differences are checked, and each zoo has its command."""
    monkeypatch.chdir(tmp_path)  # where there are no zoos
    assert main(["study", str(path), "--dry-run"]) == 0
    assert not list(tmp_path.iterdir())
