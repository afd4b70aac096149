"""Plugins that are really installed: small distributions on sys.path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from weightspace.augment import AugmentationChain, build_augmentations, find_augmentation, list_augmentations
from weightspace.cli.main import main
from weightspace.entry_points import plugins
from weightspace.errors import AugmentationError, SourceError
from weightspace.sources import load_source

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
    message = r"'rotate' is offered by .*: write '(weightspace|my-rotate):rotate' or '(weightspace|my-rotate):rotate'"
    with pytest.raises(AugmentationError, match=message):
        find_augmentation("rotate")
    ours, theirs = build_augmentations([{"weightspace:rotate": {"degrees": 3}}, "my-rotate:rotate"])
    assert (type(ours).__name__, ours.state_key) == ("Rotate", "augmentation/rotate/0")
    assert type(theirs).__name__ == "Good"
    assert "of my-rotate 1.0" in theirs.name
    listing = list_augmentations()
    assert {"weightspace:rotate", "my-rotate:rotate"} <= set(listing)
    assert not any(isinstance(found, AugmentationError) for found in listing.values())


@pytest.mark.parametrize("name", ["weigtspace:rotate", "weightspace:rotat"])
def test_a_mistyped_distribution_is_told_with_the_closest_match(name: str) -> None:
    with pytest.raises(AugmentationError, match=f"unknown augmentation '{name}': did you mean 'weightspace:rotate'"):
        find_augmentation(name)


def test_a_dotted_path_names_an_augmentation_or_a_source(install, tmp_path: Path) -> None:
    install("own-noise", GOOD, "good = own_noise:Good")
    (found,) = build_augmentations(["own_noise.Good"])
    assert (found.state_key, type(found).__name__) == ("augmentation/Good/0", "Good")
    with pytest.raises(AugmentationError, match="must be a class derived from Augmentation, found <built-in"):
        build_augmentations([{"os.system": {"command": "true"}}])
    with pytest.raises(AugmentationError, match="'own_noise.Bad' cannot be imported: AttributeError"):
        build_augmentations(["own_noise.Bad"])
    source = load_source("weightspace.sources.digits.digits")
    assert source.name == "weightspace.sources.digits.digits"
    assert load_source("weightspace:digits").digest == source.digest
    with pytest.raises(SourceError, match="'os.system': expected a class derived from .*Objects, or a function"):
        load_source("os.system", command="true")


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("exact = 'fonction'", 'exact must be "function", "input" or None, found \'fonction\''),
        ("activations = 'sine'", "activations must be a set of some of relu, sine, tanh, found 'sine'"),
        ("activations = frozenset({'gelu'})", "found frozenset\\({'gelu'}\\)"),
        ("activations = 3", "found 3"),
        ("uses_labels = 'yes'", "uses_labels must be a bool"),
    ],
)
def test_a_wrong_class_attribute_is_listed_and_harms_no_other(install, capsys, fact: str, message: str) -> None:
    install("bad-fact", GOOD.replace("(Augmentation):", f"(Augmentation):\n    {fact}"), "bad = bad_fact:Good")
    with pytest.raises(AugmentationError, match=f"'bad' of bad-fact 1.0: .*{message}"):
        build_augmentations(["bad"])
    assert main(["augmentations"]) == 0
    assert "rotate" in capsys.readouterr().out


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
