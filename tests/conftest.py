"""Fixtures that all tests share."""

from __future__ import annotations

import gzip
import importlib
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import Recipe, load_recipe
from weightspace.sources import load_source
from weightspace.sources.idx import FILES
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo

DIGITS = ["--source", "digits", "--recipe", "siren", "--set", "steps=60", "hidden=[8, 8]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", help="device of the tests marked gpu; without it a GPU, or they are skipped")


def pytest_configure() -> None:
    # workers share the cores; the processes that tests start read the variable
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    threads = max(1, min(2, len(os.sched_getaffinity(0)) // workers))
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # kept between runs of the tests, each of which has a cache folder of its own
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir()) / "weightspace_tests"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTSPACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def docs_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of docs/ by its name, anew in each test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "docs"))
    known = set(sys.modules)
    yield importlib.import_module
    for name in ("measured", "merging", "overview", "tables", "why_views"):
        if name not in known:
            sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def digits_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real zoo: 60 + 20 + 20 digits, three views of the training objects, 2-8-8-1."""
    out = tmp_path_factory.mktemp("zoos") / "digits"
    counts = ["--train", "60", "--val", "20", "--test", "20", "--views", "3"]
    assert main(["zoo", "fit", *DIGITS, *counts, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def width_zoos(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The digits in networks 2-8-8-1 with three views, 2-12-6-1 with two, and 2-5-5-1 with one."""
    zoos, folder = [digits_zoo], tmp_path_factory.mktemp("widths")
    for hidden, views in (("[12, 6]", "2"), ("[5, 5]", "1")):
        out = folder / f"views_{views}"
        fit = ["zoo", "fit", *DIGITS[:-1], f"hidden={hidden}", "--views", views, "--out", str(out)]
        assert main([*fit, "--train", "60", "--val", "20", "--test", "20"]) == 0
        zoos.append(out)
    return zoos


@pytest.fixture(scope="session")
def classifier_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classifiers of iris flowers, 4-6-3, with their test accuracies; two views of the training objects."""
    out = tmp_path_factory.mktemp("zoos") / "classifiers"
    counts = ["--train", "60", "--val", "20", "--test", "20", "--views", "2"]
    fit = ["zoo", "fit", "--source", "classifiers", "--recipe", "classifier", "--out", str(out), *counts]
    assert main([*fit, "--source_set", "data=iris", "--set", "hidden=[6]", "steps=100"]) == 0
    return out


@pytest.fixture
def zoo(digits_zoo: Path) -> Zoo:
    return Zoo(digits_zoo)


@pytest.fixture
def random_batch() -> Callable[..., WeightBatch]:
    """Makes B random networks in float64."""

    def make(
        widths: tuple[int, ...] = (2, 5, 4, 3), activation: str = "sine", omega: float = 7.0, count: int = 6
    ) -> WeightBatch:
        omegas = tuple(omega + layer for layer in range(len(widths) - 2))  # another one in every layer
        spec = NetworkSpec(widths, activation, omegas if activation == "sine" else 1.0, 0.5)
        params = torch.randn(count, spec.num_params, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        targets = torch.arange(count) % 3
        return WeightBatch(0.3 * params, spec, targets, torch.arange(count), torch.zeros(count).long(), num_classes=3)

    return make


@pytest.fixture(scope="session")
def fitted() -> Callable[[tuple[int, ...], str], WeightBatch]:
    """Fits 20 real networks: to digits (two inputs), or to the signed distances of procedural ellipsoids (three)."""

    @cache
    def fit(widths: tuple[int, ...], activation: str) -> WeightBatch:
        name = {"sine": "dwsnets"}.get(activation, activation)
        recipe = load_recipe(name, {"hidden": list(widths[1:-1]), "steps": 150, "learning_rate": 2e-3})
        if widths[0] == 2:
            source = load_source("digits")
            x, values = source.coordinates(), source.values(torch.arange(20))
        else:
            x = torch.cartesian_prod(*[torch.linspace(-1, 1, 6)] * 3)
            axes = 0.3 + 0.6 * torch.rand(20, 1, 3, generator=torch.Generator().manual_seed(0))
            values = ((x / axes).norm(dim=2, keepdim=True) - 1).clamp(-0.5, 0.5) + 0.5
        return fit_networks(recipe, x, values).to(dtype=torch.float64)

    return fit


@pytest.fixture(scope="session")
def fit_values() -> Callable[..., WeightBatch]:
    """Fits networks to values (n, N, 1) at coordinates (N, d): (recipe, coordinates, values) -> batch."""
    return fit_networks


def fit_networks(recipe: Recipe, coordinates: torch.Tensor, values: torch.Tensor) -> WeightBatch:
    spec = recipe.spec(coordinates.shape[1], 1)
    fitter = BatchedFitter(recipe, spec, coordinates, "eager")
    blocks = []
    for rows in torch.arange(len(values)).split(fitter.block):
        initial = initialise(recipe, spec, 0, [(int(row), 0, 0) for row in rows])
        blocks.append(fitter.fit(initial, values[rows]).params)
    return WeightBatch(torch.cat(blocks), spec)


@pytest.fixture
def children() -> Callable[[int], list[int]]:
    """Lists the processes that a process has started."""
    return lambda pid: [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def idx_family() -> Callable[..., dict[str, bytes]]:
    """Writes four small files in the MNIST family's format; returns name -> content."""
    return write_family


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_family(folder: Path, zipped: bool) -> dict[str, bytes]:
    """Four small files in the family's format; returns name -> content."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (12, 5, 4), dtype=np.uint8),
        np.arange(12, dtype=np.uint8) % 10,
        rng.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        np.arange(6, dtype=np.uint8) % 10,
    ]
    contents = {}
    for name, array in zip(FILES, arrays, strict=True):
        content = gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array)
        contents[f"{name}.gz" if zipped else name] = content
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return contents
