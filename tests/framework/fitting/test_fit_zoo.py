"""Fitting a zoo from Python: the same as by the command line."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from folders import contents
from weightspace.cli.main import main
from weightspace.errors import WeightspaceError, ZooError
from weightspace.fitting import fit_zoo, load_recipe
from weightspace.fitting.recipes import FIELDS
from weightspace.sources import load_source
from weightspace.zoo import Zoo

SIREN: dict[str, Any] = {"recipe": "siren", "steps": 3, "hidden": (4, 4)}


def test_python_and_the_command_line_make_the_same_bytes(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = {"train": 60, "val": 20, "test": 20, "views": 3}
    zoo = fit_zoo("digits", tmp_path / "z", recipe="siren", steps=60, hidden=[8, 8], **fit)
    assert isinstance(zoo, Zoo)
    assert contents(tmp_path / "z") == contents(digits_zoo)
    assert capsys.readouterr() == ("", ""), "nobody looks"
    recipe = load_recipe("siren", {"steps": 60, "hidden": (8, 8)})
    again = fit_zoo(load_source("digits"), tmp_path / "z", recipe=recipe, progress=True, **fit)
    assert torch.equal(again.params(torch.arange(220)), zoo.params(torch.arange(220)))
    assert "finished already: nothing to do" in capsys.readouterr().out


def test_progress_counts_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit_zoo("digits", tmp_path / "z", train=20, progress=True, **SIREN)
    first, _, last, end = capsys.readouterr().out.splitlines()
    assert first == "digits: 20 networks 2-4-4-1 sine, omega 30, output +0.5"
    assert re.fullmatch(r"20/20 networks, [\d.]+ networks/s, [\d.]+ dB", last)
    assert end == f"zoo of 20 networks at {tmp_path / 'z'}"


def test_license_and_attribution_are_kept_where_a_source_states_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = {"license": "CC0-1.0", "attribution": "drawn by a friend"}
    fit_zoo(replace(load_source("digits"), **stated), tmp_path / "z", train=8, **SIREN)
    assert stated.items() <= Zoo(tmp_path / "z").header.provenance.items()
    assert main(["zoo", "info", str(tmp_path / "z")]) == 0
    assert re.search(r"license +CC0-1.0\s+attribution +drawn by a friend", capsys.readouterr().out)
    plain = fit_zoo("digits", tmp_path / "plain", train=8, **SIREN)
    assert not stated.keys() & plain.header.provenance.keys()


def test_rates_of_each_layer_are_kept_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick: dict[str, Any] = {"recipe": "quick", "steps": 3, "hidden": [4, 4], "train": 20}
    fit_zoo("digits", tmp_path / "z", **quick)
    before = contents(tmp_path / "z")
    fit_zoo("digits", tmp_path / "z", **quick)
    with pytest.raises(ZooError, match=r"recipe field learning_rate: \[0.008, 0.004, 0.004\] there, 0.004 asked"):
        fit_zoo("digits", tmp_path / "z", **quick, learning_rate=4e-3)
    (tmp_path / "z/shards/00000.safetensors").unlink()
    assert main(["zoo", "repair", str(tmp_path / "z")]) == 0
    assert "20 networks fitted again" in capsys.readouterr().out
    assert contents(tmp_path / "z") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stepz": 4}, "'stepz' is neither an argument of fit_zoo nor a field of a recipe: did you mean 'steps'"),
        ({"viws": 2}, "did you mean 'views'"),
        ({"recipe": "sirem"}, "unknown recipe 'sirem'"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"train": 2.5}, "train must be a whole number, at least 1, found 2.5"),
        ({"train": 2000}, "has 1797 objects: train 2000, val 0 and test 0 ask for more"),
        ({"eval_views": 2}, "eval_views 2 has no effect"),
        ({"source": "digit"}, "did you mean 'digits'"),
        ({"path": "x"}, "it takes no arguments"),
        ({"source": load_source("digits"), "source_arguments": {"size": 3}}, "size: has no effect"),
        ({"device": "abacus"}, "device 'abacus' cannot be used here"),
        ({"mode": "fast"}, "mode must be one of auto, compiled, eager"),
    ],
)
def test_wrong_arguments_are_refused_in_words_of_python(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightspaceError) as caught:
        fit_zoo(**{"source": "digits", "out": tmp_path / "z", "train": 5, **SIREN, **arguments})
    assert message in str(caught.value)
    assert "--" not in str(caught.value)
    assert not (tmp_path / "z").exists()


def test_no_recipe_field_is_called_like_an_argument() -> None:
    assert not FIELDS & inspect.signature(fit_zoo).parameters.keys()


def test_an_argument_of_the_command_line_is_one_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["zoo", "fit", "--help"])
    options = capsys.readouterr().out
    for name in inspect.signature(fit_zoo).parameters.keys() - {"source_arguments", "progress", "changes"}:
        assert f"--{name} " in options
