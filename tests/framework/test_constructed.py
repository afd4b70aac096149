"""Constructors of others that do not call those of their bases: one message names the class, for every kind of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from weightspace.augment import build_augmentations
from weightspace.backbones import Backbone, Canonical
from weightspace.backbones.factory import build_backbone
from weightspace.cli.main import main
from weightspace.constructed import check_constructed
from weightspace.errors import AugmentationError, ConfigError, SourceError, WeightspaceError
from weightspace.sources import load_source

MODULE = """
from collections.abc import Callable

import torch
from weightspace.augment import Augmentation
from weightspace.backbones import Backbone
from weightspace.sources.solids.solid import SolidSource
from weightspace.spec import NetworkSpec
from weightspace.tasks import ContrastiveTask


class Noise(Augmentation):
    def __init__(self, scale: float = 1.0):
        self.scale = scale

    sample = apply = None


class Solids(SolidSource):
    def __init__(self):
        self.targets = []

    sample = inside = distance = digest = None


class Numbers(Backbone):
    def __init__(self, spec, out_dim):
        self.spec = spec

    def encode(self, params):
        return params


class Layers(Numbers):
    def __init__(self, spec, out_dim):
        self.layer = torch.nn.Linear(spec.num_params, out_dim)


class Inner(torch.nn.Module):
    def __init__(self):
        self.layer = torch.nn.Linear(1, 1)


class Outer(Numbers):
    def __init__(self, spec, out_dim):
        Backbone.__init__(self, spec, out_dim, None)
        self.inner = Inner()


class Task(ContrastiveTask):
    def __init__(self, backbone: Callable[[NetworkSpec, int], Backbone], temperature: float = 0.2):
        self.temperature = temperature


class TaskOfLayers(Task):
    def __init__(self, backbone: Callable[[NetworkSpec, int], Backbone]):
        self.layer = torch.nn.Linear(1, 1)
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The module above."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("forgetful.py").write_text(MODULE)
    import forgetful

    yield forgetful
    del sys.modules["forgetful"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Numbers", r"Numbers: its constructor must call super\(\).__init__\(spec, out_dim, normaliser\)"),
        ("Layers", r"Layers: its constructor must call super\(\).__init__\(spec, out_dim\)"),
        ("Inner", r"Inner: its constructor must call super\(\).__init__\(\)"),
    ],
)
def test_backbones(theirs, name: str, message: str, random_batch: Callable) -> None:
    spec = random_batch().spec
    make = theirs.Outer if name == "Inner" else getattr(theirs, name)
    with pytest.raises(ConfigError, match=message):
        build_backbone(make, spec, 3)
    with pytest.raises(ConfigError, match=message):
        Canonical(spec, 3, make)


def test_other_errors_of_constructors_stay_as_they_are(random_batch: Callable) -> None:
    def fails(spec, out_dim) -> Backbone:
        return spec.nothing

    with pytest.raises(AttributeError, match="nothing"):
        build_backbone(fails, random_batch().spec, 3)


def test_sources_and_augmentations(theirs) -> None:
    with pytest.raises(SourceError, match=r"'forgetful.Solids': .* super\(\).__init__\(points, field, clamp\)"):
        load_source("forgetful.Solids")
    with pytest.raises(AugmentationError, match=r"'forgetful.Noise' of .* super\(\).__init__\(p\)"):
        build_augmentations(["forgetful.Noise"])


def test_plain_modules() -> None:
    check_constructed(torch.nn.Linear(1, 1), WeightspaceError)


@pytest.mark.parametrize("name", ["Task", "TaskOfLayers"])
def test_tasks(theirs, name: str, digits_zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = {"class_path": f"forgetful.{name}", "init_args": {"backbone": "MLP"}}
    Path("x.yaml").write_text(yaml.safe_dump({"model": model, "data": {"zoo": str(digits_zoo)}}))
    assert main(["fit", "-c", "x.yaml"]) == 2
    assert f"error: {name}: its constructor must call super().__init__(backbone" in capsys.readouterr().err
    assert not Path("runs").exists()
