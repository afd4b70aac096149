"""Plugins that are really installed: small distributions on sys.path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from weightspace.augment import AugmentationChain, build_augmentations, find_augmentation, list_augmentations
from weightspace.cli.main import main
from weightspace.entry_points import plugins
from weightspace.errors import AugmentationError

GOOD = """
from weightspace.augment import Augmentation

class Good(Augmentation):
    def sample(self, batch, generator):
        return None

    def apply(self, batch, params):
        return batch.replace(params=batch.params * 1)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Installs a distribution: its name, its module's source, and the entry point ``name = module:object``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)

    def install(distribution: str, source: str, point: str) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        metadata = tmp_path / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[weightspace.augmentations]\n{point}\n")
        plugins.cache_clear()

    yield install
    plugins.cache_clear()
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_third_partys_plugin_is_found(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("good-noise", GOOD, "good = good_noise:Good")
    assert find_augmentation("good").__name__ == "Good"
    assert main(["augmentations"]) == 0
    assert "good-noise 1.0" in capsys.readouterr().out
    assert main(["augmentations", "show", "good"]) == 0
    assert "good_noise.Good" in capsys.readouterr().out


def test_a_plugin_that_fails_to_import_harms_no_other(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("bad-noise", "import no_such_module", "bad = bad_noise:Bad")
    listing = list_augmentations()
    assert "'bad' of bad-noise 1.0 cannot be imported: ModuleNotFoundError" in str(listing["bad"])
    assert isinstance(listing["rotate"], type)
    assert main(["augmentations"]) == 0
    assert "no_such_module" in capsys.readouterr().out


def test_a_name_that_two_distributions_claim_is_refused(install) -> None:
    install("my-rotate", GOOD, "rotate = my_rotate:Good")
    with pytest.raises(AugmentationError, match=r"'rotate' is offered by .*my-rotate 1.0.*: uninstall one of them"):
        find_augmentation("rotate")


def test_a_plugin_of_another_type_is_refused(install) -> None:
    install("no-class", "Good = 3", "three = no_class:Good")
    with pytest.raises(AugmentationError, match=r"'three' of no-class 1.0 must be a class derived from Augmentation"):
        find_augmentation("three")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch.params * float('nan')", "'good' of good-noise 1.0: 6 of 6 networks are not finite after it"),
        ("batch.params.float()", r"'good' of good-noise 1.0: params were .*float64 on cpu, apply returned .*float32"),
    ],
)
def test_a_plugin_that_breaks_its_contract_is_named(install, random_batch, change: str, message: str) -> None:
    install("good-noise", GOOD.replace("batch.params * 1", change), "good = good_noise:Good")
    with pytest.raises(AugmentationError, match=message):
        AugmentationChain(build_augmentations(["good"]), seed=0)(random_batch())


@pytest.mark.parametrize(
    ("constructor", "message"),
    [
        ("def __init__(self): self.x = 1", r"'good' of good-noise 1.0: its constructor must call super"),
        ("def __init__(self): raise OSError('no disk')", r"'good' of good-noise 1.0 cannot be made: OSError: no disk"),
    ],
)
def test_a_constructor_that_fails_is_named(install, constructor: str, message: str) -> None:
    install("good-noise", GOOD + "    " + constructor + "\n", "good = good_noise:Good")
    with pytest.raises(AugmentationError, match=message):
        build_augmentations(["good"])
