"""Interpolations that multiply are refused before they are in memory, as aliases are."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main

LEVELS = 60


@pytest.fixture(autouse=True)
def _bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without a limit of ours, the memory of this process has one."""
    monkeypatch.chdir(tmp_path)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def bombs() -> dict[str, dict[str, object]]:
    text: dict[str, object] = {"a0": "x" * 1000}
    lists: dict[str, object] = {"a0": ["x"]}
    for n in range(1, LEVELS):
        text[f"a{n}"] = f"${{.a{n - 1}}}" * 2
        lists[f"a{n}"] = [f"${{..a{n - 1}}}"] * 2
    nested = "x"
    for _ in range(2000):
        nested = f"${{.{nested}}}"
    return {
        "texts": text,
        "lists": lists,
        "one long text often": {"a": "x" * 400_000, "b": "${.a}" * 5000},
        "by a resolver": {"a": "x" * 400_000, "b": "${oc.select:.a}" * 5000},
        "very many": {"a": "x", "b": "${.a}" * 100_000},
        "within one another": {"a": nested},
    }


@pytest.mark.timeout(120, func_only=True)
@pytest.mark.parametrize("kind", bombs())
def test_interpolations_that_multiply_are_refused(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text(yaml.safe_dump({"data": {"zoo": "z", "augmentations": [{"rotate": bombs()[kind]}]}}))
    assert main(["fit", "-c", "x.yaml", "--model", "weightspace.tasks.SupervisedTask", "--model.backbone", "MLP"]) == 2
    said = capsys.readouterr().err
    assert "interpolations (${...})" in said
    assert len(said.splitlines()) == 1


def test_ordinary_ones_are_resolved(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"a": 0.5, "b": "${.a}", "c": ["${..a}"] * 200, "d": "${..rotate.c}"}
    Path("x.yaml").write_text(yaml.safe_dump({"data": {"zoo": "z", "augmentations": [{"rotate": values}]}}))
    options = ["--model", "weightspace.tasks.SupervisedTask", "--model.backbone", "MLP", "--print_config"]
    with pytest.raises(SystemExit):
        main(["fit", "-c", "x.yaml", *options])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["data"]["augmentations"] == [{"rotate": {"a": 0.5, "b": 0.5, "c": [0.5] * 200, "d": [0.5] * 200}}]
