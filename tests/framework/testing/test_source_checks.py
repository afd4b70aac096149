from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
import torch
from pages import blocks
from torch import Tensor
from weightspace.sources import ImageSource, Source, load_source
from weightspace.testing import check_source, source_checks
from weightspace.testing.source_rules import BASIC, OTHERS

GUIDE = Path(__file__).parents[3] / "docs" / "plugins.md"
BASIC_NAMES = [rule.__name__ for rule in BASIC]


def block(language: str, part: str) -> str:
    """The one block of the guide that has this part."""
    (found,) = (block.text for block in blocks(GUIDE) if block.language == language and part in block.text)
    return found


def test_the_guide_s_source_keeps_the_contract() -> None:
    names: dict = {}
    exec(block("python", "def checkerboards"), names)
    check_source(names["checkerboards"])


@pytest.mark.long
def test_the_guide_s_source_as_an_installed_distribution(tmp_path: Path) -> None:
    """Built and installed by pip, found through its entry point, and used by every command of a zoo."""
    project, site = tmp_path / "my-sources", tmp_path / "site"
    project.mkdir()
    (project / "my_sources.py").write_text(block("python", "def checkerboards"))
    head = '[project]\nname = "my-sources"\nversion = "1.0"\n[tool.setuptools]\npy-modules = ["my_sources"]\n'
    (project / "pyproject.toml").write_text(head + block("toml", "weightspace.sources"))

    def run(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site), str(project))
    (fit,) = re.findall(r"`weightspace (zoo fit --source checkerboards [^`]*)`", GUIDE.read_text(encoding="utf-8"))
    run("weightspace", *shlex.split(fit), "--set", "steps=20", "hidden=[8]")
    assert "80 networks: all finite" in run("weightspace", "zoo", "verify", "zoos/boards")
    assert "checkerboards" in run("weightspace", "zoo", "info", "zoos/boards")
    run("weightspace", "zoo", "show", "zoos/boards", "--out", "boards.png")
    assert (tmp_path / "boards.png").stat().st_size > 5000


class Broken(Source):
    """Digits, with one fault."""

    name, arguments, in_dim, out_dim = "broken", {}, 2, 1

    def __init__(self, fault: str) -> None:
        self.fault, self.inner = fault, load_source("digits")
        self.targets, self.class_names = self.inner.labels, self.inner.class_names
        self.num_train = len(self.inner) + (fault == "num_train")
        if fault == "targets":
            self.targets = self.targets + 1
        if fault == "names":
            self.class_names = None
        if fault == "arguments":
            self.arguments = {"sizes": (1, 2)}
        if fault == "groups":
            self.groups = np.zeros(3, dtype=np.int64)
        if fault == "license":
            self.license = ["MIT"]
        self.calls = 0

    @property
    def digest(self) -> str:
        return self.inner.digest[: 5 if self.fault == "digest" else None]

    def points(self, objects: Tensor) -> Tensor:
        points = self.inner.coordinates()
        return points * 2 if self.fault == "points" else points.double() if self.fault == "dtype" else points

    def values(self, objects: Tensor) -> Tensor:
        values = self.inner.values(objects)
        self.calls += 1
        match self.fault:
            case "range":
                return 16 * values
            case "shape":
                return values.squeeze(2)
            case "company":
                return values * values.amax() / values.amax((1, 2), keepdim=True) * 0.5
            case "noise":
                return (values + 0.01 * torch.rand_like(values)).clamp(0, 1)
            case "nan":
                return values / values.new_tensor(float("nan"))
        return values

    def observations(self, objects: Tensor) -> tuple[Tensor, Tensor]:
        points, values = super().observations(objects)
        return points, 1 - values if self.fault == "observations" else values


def test_a_good_one_passes() -> None:
    check_source(lambda: Broken("none"))


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("num_train", "counts"),
        ("targets", "counts"),
        ("names", "counts"),
        ("arguments", "repeatability"),
        ("groups", "counts"),
        ("license", "repeatability"),
        ("digest", "repeatability"),
        ("points", "shapes"),
        ("dtype", "shapes"),
        ("range", "shapes"),
        ("shape", "shapes"),
        ("nan", "shapes"),
        ("company", "independence"),
        ("noise", "repeatability"),
        ("observations", "independence"),
    ],
)
def test_each_fault_is_one_failure(fault: str, rule: str) -> None:
    with pytest.raises(AssertionError) as failure:
        check_source(lambda: Broken(fault))
    reported, *untried = str(failure.value).split("\n")
    assert reported.startswith(f"the source: broken rule {rule} ")
    if rule in BASIC_NAMES:
        after = [*BASIC_NAMES[BASIC_NAMES.index(rule) + 1 :], *(other.__name__ for other in OTHERS)]
        assert untried == [f"not tried, because {rule} is broken: {', '.join(after)}"]
    else:
        assert not untried


def unreadable() -> Source:
    raise FileNotFoundError("no such folder")


def test_pytest_skips_what_presupposes_a_broken_rule() -> None:
    first, *others = source_checks(unreadable)
    assert first.name == "unreadable-counts"
    with pytest.raises(AssertionError, match="unreadable: broken rule counts .* FileNotFoundError: no such folder"):
        first()
    for check in others:
        with pytest.raises(SkipTest, match="was not tried, because the basic rule counts is broken"):
            check()


def test_other_objects_on_a_second_load_are_noticed() -> None:
    loads = [0]

    def load() -> ImageSource:
        loads[0] += 1
        source = load_source("digits")
        return replace(source, images=np.roll(source.images, loads[0], axis=0))

    with pytest.raises(AssertionError, match="repeatability.*digests"):
        check_source(load)
