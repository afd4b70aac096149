"""Trainings of small convolutional networks: what is drawn, and that a network is what torch trains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.errors import SourceError
from weightspace.fitting.cnn_fitter import IMAGES, CNNFitter, cnn_spec
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.network import evaluate
from weightspace.sources import load_source
from weightspace.sources.cnns import CHECKPOINTS, OPTIMISERS, CNNSource
from weightspace.zoo import Zoo


@pytest.fixture(scope="module")
def source() -> CNNSource:
    found = load_source("cnns", data="digits")
    assert isinstance(found, CNNSource)
    return found


def fitter(source: CNNSource, **changes) -> CNNFitter:
    recipe = load_recipe("cnn", {"hidden": [4, 4, 4], "steps": 10, **changes})
    return CNNFitter(recipe, cnn_spec(recipe, source))


def test_images_are_real_standardised_and_divided(source: CNNSource) -> None:
    assert (source.train_images, source.test_samples) == (1079, 718)
    known = source.inputs(torch.arange(source.train_images))
    assert known.shape == (1079, 1, 8, 8)
    assert abs(float(known.mean())) < 1e-5
    assert float(known.std()) == pytest.approx(1, abs=1e-5)
    digits = load_source("digits")
    pixels = {digits.images[i].tobytes(): digits.labels[i] for i in range(len(digits))}
    assert all(
        pixels[image.numpy().tobytes()] == label for image, label in zip(source.pixels, source.labels, strict=True)
    )


def test_hyperparameters_are_drawn_by_object_and_cover_their_ranges(source: CNNSource) -> None:
    drawn = [source.training(item) for item in range(500)]
    assert {training.optimiser for training in drawn} == set(OPTIMISERS)
    assert {training.fraction for training in drawn} == {0.1, 0.25, 0.5, 1.0}
    for name, low, high in (("dropout", 0, 0.7), ("weight_decay", 1e-8, 1e-2), ("init_scale", 0.3, 2)):
        values = [getattr(training, name) for training in drawn]
        assert low <= min(values) <= max(values) <= high
    for optimiser, low, high in (("sgd", 1e-3, 0.3), ("adam", 1e-4, 3e-2), ("rmsprop", 1e-4, 3e-2)):
        rates = [training.learning_rate for training in drawn if training.optimiser == optimiser]
        assert low <= min(rates) < 3 * low < high / 3 < max(rates) <= high
    assert load_source("cnns", data="digits").training(7) == drawn[7]
    assert load_source("cnns", data="digits", seed=1).training(7) != drawn[7]


def test_a_training_sees_its_share_again_and_again(source: CNNSource) -> None:
    item = next(i for i in range(50) if source.training(i).fraction == 0.25)
    share = round(0.25 * source.train_images)
    order = source.order(item, 30, IMAGES).ravel()
    assert len(order) == 30 * IMAGES
    assert len(np.unique(order)) == share
    for first in range(0, len(order) - share, share):
        assert len(np.unique(order[first : first + share])) == share, "each image once before any comes again"


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_network_is_what_torch_trains(source: CNNSource, optimiser: str, activation: str) -> None:
    trained = fitter(source, activation=activation)
    item = next(i for i in range(50) if source.training(i).optimiser == optimiser)
    drawn, steps = source.training(item), trained.recipe.steps
    found = trained.fit_objects(source, [(item, 0, 0)], seed=3).params[0]
    initial = initialise(trained.recipe, trained.spec, 3, [(item, 0, 0)])[0] * drawn.init_scale
    act = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    convolutions = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), act(), nn.Conv2d(4, 4, 3, 2, 1), act(), nn.Conv2d(4, 4, 3, 2, 1), act()
    )
    last = nn.Linear(4, 10)
    tensors = [*convolutions.parameters(), *last.parameters()]
    for tensor, value in zip(tensors, trained.spec.unpack(initial).values(), strict=True):
        tensor.data.copy_(value.reshape(tensor.shape))
    rate, decay = drawn.learning_rate, drawn.weight_decay
    step_of = {
        "sgd": lambda: torch.optim.SGD(tensors, rate, momentum=0.9, weight_decay=decay),
        "adam": lambda: torch.optim.Adam(tensors, rate, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(tensors, rate, alpha=0.99, weight_decay=decay),
    }[optimiser]()
    order, kept = source.order(item, steps, IMAGES), source.kept(item, steps, IMAGES, 4)
    for step in range(steps):
        rows = torch.from_numpy(order[step])
        features = convolutions(source.inputs(rows)).mean((2, 3)) * kept[step] / (1 - drawn.dropout)
        step_of.zero_grad()
        F.cross_entropy(last(features), source.labels[rows]).backward()
        step_of.step()
    expected = torch.cat([tensor.detach().flatten() for tensor in tensors])
    assert (found - initial).abs().max() > 1e-3
    assert torch.allclose(found, expected, atol=2e-4 * float(expected.abs().max()))


def test_networks_do_not_depend_on_the_others_of_their_group(source: CNNSource) -> None:
    trained = fitter(source)
    together = trained.fit_objects(source, [(i, v, 0) for i in range(20) for v in range(3)], seed=0)
    alone = trained.fit_objects(source, [(17, 1, 0), (4, 0, 0)], seed=0)
    assert torch.equal(alone.params, together.params[[17 * 3 + 1, 4 * 3]])
    assert torch.equal(alone.quality, together.quality[[17 * 3 + 1, 4 * 3]])


def test_views_are_checkpoints_of_one_training(source: CNNSource) -> None:
    last, half, early = fitter(source).fit_objects(source, [(5, view, 0) for view in range(3)], seed=0).params
    for share, params in zip(CHECKPOINTS, (last, half, early), strict=True):
        shorter = fitter(source, steps=round(10 * share)).fit_objects(source, [(5, 0, 0)], seed=0).params[0]
        # the order of the images and dropout begin alike
        assert torch.allclose(params, shorter, atol=1e-6)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_groups_are_full_and_no_training_is_in_two(source: CNNSource, views: int) -> None:
    # a shard may begin with the last checkpoints of a training, and end with the first ones of another
    objects = torch.arange(40).repeat_interleave(views)[views - 1 : -1]
    sizes = fitter(source).blocks(objects)
    trainings = [len(part.unique()) for part in objects.split(sizes)]
    assert sum(sizes) == len(objects)
    assert trainings == [8, 8, 8, 8, len(objects.unique()) - 32]


def test_accuracies_and_targets(source: CNNSource) -> None:
    both = load_source("cnns", data="digits", target="both")
    found = fitter(both).fit_objects(both, [(0, 0, 0), (1, 0, 0)], seed=0)
    networks = WeightBatch(found.params, fitter(both).spec)
    outputs = evaluate(networks, both.inputs(torch.arange(len(both.labels))))
    right = (outputs.argmax(2) == both.labels).float()
    train, test = right[:, : both.train_images].mean(1), right[:, both.train_images :].mean(1)
    assert torch.allclose(found.quality[:, 0], test, atol=2e-3)
    assert torch.allclose(found.quality[:, 1], train, atol=2e-3)
    assert found.targets is not None
    gaps = found.quality[:, 1] - found.quality[:, 0]
    assert torch.allclose(found.targets, torch.stack([found.quality[:, 0], gaps], 1))
    assert both.target_names == ("test accuracy", "generalization gap")


FIT = ["zoo", "fit", "--source", "cnns", "--recipe", "cnn", "--source_set", "data=digits"]
SMALL = ["--set", "hidden=[4,4,4]", "steps=12"]


@pytest.fixture(scope="module")
def cnn_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("zoos") / "cnns"
    counts = ["--train", "14", "--val", "4", "--test", "4", "--views", "3"]
    assert main([*FIT, *SMALL, *counts, "--out", str(out)]) == 0
    return out


def test_a_zoo_of_trainings(cnn_zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = Zoo(cnn_zoo)
    header = json.loads((cnn_zoo / "zoo.json").read_text())
    assert header["format"] == 2
    assert header["provenance"]["codes"] == {"optimiser": ["sgd", "adam", "rmsprop"]}
    assert header["quality"][:3] == ["test accuracy", "train accuracy", "optimiser"]
    assert len(zoo) == 14 * 3 + 8
    by_object = {int(o): set(zoo.splits[zoo.objects == o].tolist()) for o in zoo.objects.unique()}
    assert all(len(splits) == 1 for splits in by_object.values())
    assert torch.equal(zoo.targets[:, 0], zoo.quality[:, 0])
    assert main(["zoo", "info", str(cnn_zoo)]) == 0
    assert main(["zoo", "verify", str(cnn_zoo), "--sample", "6"]) == 0
    assert "6 networks: accuracies equal those recomputed" in capsys.readouterr().out


@pytest.mark.parametrize("backbone", ["DWS", "Statistics"])
def test_backbones_learn_from_it(cnn_zoo: Path, tmp_path: Path, backbone: str) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"model: {{class_path: RegressionTask, init_args: {{backbone: {{class_path: {backbone}}}}}}}\n"
        f"data: {{zoo: {cnn_zoo}, batch_size: 8, augmentations: [permute, positive_scale, gaussian_noise]}}\n"
        "trainer: {max_epochs: 1, accelerator: cpu}\n"
    )
    runs = ["--runs", str(tmp_path / "runs"), "--experiment", "e"]
    for command in ("fit", "test"):
        assert main([command, "-c", str(config), *runs]) == 0
    assert "test/r2" in json.loads((tmp_path / "runs/e/0/metrics.json").read_text())["test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--views", "4"], "an object of cnns has 3 views at most, asked for 4"),
        (["--mode", "compiled"], "trained eagerly"),
        (["--set", "learning_rate=0.1"], "CNNFitter does not use learning_rate"),
        (["--set", "activation=sine"], "classifiers need the recipe 'cnn'"),
        (["--source_set", "data=letters"], "unknown data 'letters'"),
        (["--source_set", "target=loss"], "unknown target 'loss'"),
    ],
)
def test_what_was_asked_wrongly(tmp_path: Path, capsys: pytest.CaptureFixture[str], options, message: str) -> None:
    assert main([*FIT, "--train", "2", "--out", str(tmp_path / "z"), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "z").exists()


def test_counts_are_checked() -> None:
    for wrong in ({"count": 0}, {"seed": -1}, {"data": 3}):
        with pytest.raises(SourceError):
            load_source("cnns", **{"data": "digits", **wrong})
