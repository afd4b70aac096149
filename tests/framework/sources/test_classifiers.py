from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.errors import SourceError, ZooError
from weightspace.fitting.classifier_fitter import SAMPLES_PER_STEP, ClassifierFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.fitting.verify import verify
from weightspace.sources import load_source
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader

#: What made the fixture's zoo.
CLASSIFIERS = [
    "zoo", "fit", "--source", "classifiers", "--recipe", "classifier", "--train", "60", "--val", "20", "--test", "20",
    "--views", "2", "--source_set", "data=iris", "--set", "hidden=[6]", "steps=100",
]  # fmt: skip


def test_samples_are_real_and_standardised() -> None:
    source = load_source("classifiers", count=10)
    assert (source.in_dim, source.out_dim, source.train_samples, len(source.labels)) == (64, 10, 1198, 1797)
    known = source.features[:1198]
    assert known.mean(0).abs().max() < 1e-5
    assert set(known.std(0, correction=0).round(decimals=3).tolist()) <= {0.0, 1.0}


def test_hyperparameters_are_drawn_by_object_and_cover_their_ranges() -> None:
    source = load_source("classifiers", count=500)
    drawn = [source.hyperparameters(item) for item in range(500)]
    assert source.hyperparameters(7) == drawn[7]
    assert len({facts.learning_rate for facts in drawn}) == 500
    rates = np.log([facts.learning_rate for facts in drawn])
    assert np.log(3e-4) < rates.min() < np.log(4e-4)
    assert np.log(2e-2) < rates.max() < np.log(3e-2)
    assert 0.05 <= min(facts.samples for facts in drawn) < 0.1 < 0.95 < max(facts.samples for facts in drawn) <= 1


def test_lessons_have_the_noise_and_the_share_that_was_drawn() -> None:
    source = load_source("classifiers", count=50)
    for item in range(50):
        facts, (labels, seen) = source.hyperparameters(item), source.training_set(item, 0)
        assert int(seen.sum()) == max(1, round(facts.samples * source.train_samples))
        wrong = float((labels != source.labels[: source.train_samples]).float().mean())
        assert wrong == pytest.approx(facts.label_noise * 0.9, abs=0.06), "a tenth of random labels is right"


def test_a_network_is_what_torch_s_adamw_trains() -> None:
    """One network with autograd and AdamW, step by step, against the whole block; and alone it has the same bits."""
    source, recipe = (
        load_source("classifiers", data="iris", count=9),
        load_recipe("classifier", {"hidden": [6], "steps": 40}),
    )
    spec = recipe.spec(source.in_dim, source.out_dim)
    networks = [(item, 0, 0) for item in range(9)]
    fits = ClassifierFitter(recipe, spec).fit_objects(source, networks, seed=3)
    alone = ClassifierFitter(recipe, spec).fit_objects(source, [networks[4]], seed=3)
    assert torch.equal(alone.params[0], fits.params[4])
    facts, (labels, seen) = source.hyperparameters(4), source.training_set(4, 0)
    start = initialise(recipe, spec, 3, [networks[4]])[0] * facts.init_scale
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    network.load_state_dict(spec.unpack(start, list(network.state_dict())))
    adam = torch.optim.AdamW(network.parameters(), lr=facts.learning_rate, weight_decay=facts.weight_decay)
    order = torch.randperm(source.train_samples, generator=torch.Generator().manual_seed(0))
    for step in range(max(1, round(facts.steps * 40))):
        rows = order.roll(-step * SAMPLES_PER_STEP)[:SAMPLES_PER_STEP]
        losses = F.cross_entropy(network(source.features[rows]), labels[rows], reduction="none")
        adam.zero_grad()
        ((losses * seen[rows]).sum() / seen[rows].sum().clamp(min=1)).backward()
        adam.step()
    assert torch.allclose(spec.pack(network.state_dict()), fits.params[4], atol=1e-5)
    with torch.no_grad():
        right = network(source.features).argmax(1) == source.labels
    assert float(right[source.train_samples :].float().mean()) == pytest.approx(float(fits.targets[4, 0]), abs=0.03)
    assert torch.equal(fits.targets[:, 0], source.accuracies(WeightBatch(fits.params, spec))[:, 0])


def test_a_zoo_of_classifiers(classifier_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = Zoo(classifier_zoo)
    assert zoo.class_names is None
    assert zoo.header.target == {"kind": "value", "names": ["test accuracy"]}
    assert torch.equal(zoo.targets[:, 0], zoo.quality[:, 0])
    assert zoo.targets.std() > 0.1, "accuracies should vary"
    assert any("accuracies" in line for line in verify(zoo, sample=100))
    copy = Path(shutil.copytree(classifier_zoo, tmp_path / "copy"))
    opened = Zoo(copy)
    opened.quality = opened.quality.roll(1, 0)
    with pytest.raises(ZooError, match="is stored with a test accuracy of"):
        list(verify(opened, sample=160))
    assert main(["zoo", "show", str(copy), "--out", str(tmp_path / "x.png")]) == 2
    assert "cannot be drawn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "siren"], "classifiers need the recipe 'classifier'"),
        (["--recipe", "classifier", "--mode", "compiled"], "classifiers are trained eagerly"),
        (["--recipe", "classifier", "--source_set", "data=iriss"], "did you mean 'iris'"),
    ],
)
def test_what_was_asked_wrongly(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["zoo", "fit", "--source", "classifiers", "--train", "5", "--out", str(tmp_path / "z")]
    assert main([*fit, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "z").exists()


def test_fields_that_classifiers_do_not_use_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{activation: relu, omega: 1.0, hidden: [4], schedule: constant}")
    fit = ["zoo", "fit", "--source", "classifiers", "--train", "5", "--out", str(tmp_path / "z"), "--recipe"]
    for recipe, field in (
        (["classifier", "--set", "learning_rate=7.0", "steps=5"], "learning_rate"),
        (["classifier", "--set", "schedule=cosine"], "schedule"),  # its default, but asked for
        ([str(own)], "schedule"),
        (["relu"], "learning_rate"),
    ):
        assert main([*fit, *recipe]) == 2
        err = capsys.readouterr().err
        assert f"ClassifierFitter does not use {field}" in err
        assert "It uses activation, betas" in err
    assert not (tmp_path / "z").exists()


def with_all_fields(zoo: Path) -> str:
    """Makes a zoo's provenance that of earlier versions, which listed fields that nothing used."""
    header = ZooHeader.read(zoo)
    recipe = {**load_recipe("classifier").to_json(), **header.provenance["recipe"], "learning_rate": 7.0}
    header.provenance["recipe"] = recipe
    (zoo / FILE).write_text(header.to_text())
    return header.to_text()


def test_a_zoo_that_lists_unused_fields_is_read_verified_and_repaired(
    classifier_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ZooHeader.read(classifier_zoo).provenance["recipe"]
    assert kept.keys() == ClassifierFitter.recipe_fields
    zoo = Path(shutil.copytree(classifier_zoo, tmp_path / "z"))
    text, shard = with_all_fields(zoo), zoo / "shards" / "00000.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"\x77")
    assert main(["zoo", "repair", str(zoo)]) == 0
    assert (shard.read_bytes(), (zoo / FILE).read_text()) == (content, text)
    assert main(["zoo", "verify", str(zoo)]) == 0
    assert main([*CLASSIFIERS, "--out", str(zoo)]) == 0
    assert "finished already" in capsys.readouterr().out
    assert (zoo / FILE).read_text() == text


def test_an_unfinished_zoo_that_lists_unused_fields_ends_in_the_same_bytes(
    classifier_zoo: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(classifier_zoo, tmp_path / "whole"))
    text, provenance = with_all_fields(whole), ZooHeader.read(whole).provenance
    cut = tmp_path / "cut"
    (cut / "shards").mkdir(parents=True)
    job = {key: provenance[key] for key in ("source", "recipe", "plan", "mode", "device", "versions")}
    (cut / "journal.jsonl").write_text(json.dumps(job, sort_keys=True) + "\n")
    assert main([*CLASSIFIERS, "--out", str(cut)]) == 0
    assert (cut / FILE).read_text() == text


def test_counts_are_checked() -> None:
    with pytest.raises(SourceError, match="count must be in 1.."):
        load_source("classifiers", count=0)
