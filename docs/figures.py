"""Draws the pictures of the home page and of docs/concepts from a zoo with several views of scikit-learn's digits, and
that of docs/studies.md from made-up results.

After `make quickstart`, whose zoo it reads: `python docs/figures.py`. The pictures are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import weightspace as ws
from torch import Tensor
from torch.nn.functional import interpolate
from weightspace.figures.images import image_grid, save_figure
from weightspace.figures.worth import worth_figure
from weightspace.sources import load_source
from weightspace.studies.amounts import amount
from weightspace.studies.cells import cells_of
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record, Result
from weightspace.studies.study import read_study
from weightspace.studies.table import entries_of

PICTURES = Path(__file__).parent / "pictures"
SIDE = 48


def decoded(batch: ws.WeightBatch) -> Tensor:
    """(B, SIDE, SIDE): what networks of two coordinates compute."""
    axis = torch.linspace(-1, 1, SIDE)
    return ws.evaluate(batch, torch.cartesian_prod(axis, axis)).reshape(len(batch), SIDE, SIDE)


def second_layer(batch: ws.WeightBatch) -> Tensor:
    """(B, out, in): the weights W_2, from -max to max as 0 to 1."""
    weights = batch.weights[1]
    return (weights / weights.abs().amax((1, 2), keepdim=True) + 1) / 2


def augmented(batch: ws.WeightBatch, name: str, **arguments: float) -> ws.WeightBatch:
    """The batch after one augmentation."""
    return ws.augmentation(name, **arguments)(batch, seed=3)


def objects(batch: ws.WeightBatch) -> Tensor:
    """(B, 8, 8): the digits that the networks were fitted to."""
    assert batch.objects is not None
    return load_source("digits").values(batch.objects).reshape(len(batch), 8, 8)


def views(zoo: ws.Zoo, count: int) -> ws.WeightBatch:
    """All views of the first training objects."""
    rows = zoo.rows("train")
    first = list(dict.fromkeys(zoo.objects[rows].tolist()))[:count]
    return zoo[torch.cat([rows[zoo.objects[rows] == number] for number in first])]


def draw_overview(zoo: ws.Zoo) -> None:
    """Digits, the networks that store them, one layer of their weights, and the networks after a rotation."""
    rows = zoo.rows("test")
    batch = zoo[[int(rows[zoo.targets[rows] == digit][0]) for digit in range(10)]]
    pictures = {
        "object": objects(batch),
        "network": decoded(batch),
        "weights": second_layer(batch),
        "rotated": decoded(augmented(batch, "rotate", degrees=40)),
    }
    save_figure(image_grid(pictures), PICTURES / "overview.png")


def draw_layers(zoo: ws.Zoo) -> None:
    """One network: its object, its function and its matrices."""
    batch = zoo["test"][:1]
    names = ["digit", "network", *(f"W{layer} {tuple(w.shape[1:])}" for layer, w in enumerate(batch.weights, 1))]
    matrices = [(w / w.abs().max() + 1) / 2 for w in batch.weights]
    images = [interpolate(image[None], (SIDE, SIDE))[0, 0] for image in (objects(batch), decoded(batch), *matrices)]
    figure = image_grid({"one network": torch.stack(images)}, {"one network": names})
    save_figure(figure, PICTURES / "layers.png")


def draw_symmetries(zoo: ws.Zoo) -> None:
    """One network, the same function with other weights, and, to compare, another function."""
    network = zoo["test"][:1]
    moved = {"network": network, **{n: augmented(network, n) for n in ("permute", "sign_flip", "phase_shift")}}
    moved["all of them"] = augmented(augmented(moved["permute"], "sign_flip"), "phase_shift")
    moved["gaussian_noise"] = augmented(network, "gaussian_noise", scale=0.3)
    functions, weights = (torch.cat([draw(batch) for batch in moved.values()]) for draw in (decoded, second_layer))
    differences = (functions - functions[0]).abs().amax((1, 2)).tolist()
    names = [f"{name}\ndiffers by {d:.0e}" if d else name for name, d in zip(moved, differences, strict=True)]
    figure = image_grid({"function": functions, "weights": weights}, {"function": names})
    save_figure(figure, PICTURES / "symmetries.png")


def draw_views(zoo: ws.Zoo) -> None:
    """Three networks each of two objects: alike as functions, unlike as weights."""
    batch = views(zoo, 2)
    assert batch.objects is not None
    assert batch.views is not None
    names = [f"object {o}, view {v}" for o, v in zip(batch.objects.tolist(), batch.views.tolist(), strict=True)]
    figure = image_grid({"function": decoded(batch), "weights": second_layer(batch)}, {"function": names})
    save_figure(figure, PICTURES / "views.png")


def draw_alignment(zoo: ws.Zoo) -> None:
    """Networks on the straight line between two views of one object, before and after alignment."""
    pair = views(zoo, 1)
    here, there = pair.select(torch.tensor([0])), pair.select(torch.tensor([1]))
    shares = torch.linspace(0, 1, 9)
    images = {}
    for name, end in {"as fitted": there, "aligned": ws.align(here, there).apply(there)}.items():
        line = torch.lerp(here.params, end.params, shares[:, None])
        images[name] = decoded(ws.WeightBatch(line, zoo.spec))
    figure = image_grid(images, {"as fitted": [f"{share:.0%}" for share in shares.tolist()]})
    save_figure(figure, PICTURES / "alignment.png")


def draw_worth() -> None:
    """A study whose columns are amounts, from made-up results: each variant as accurate as with some more data."""
    factors = {"none": 1.0, "worse": 0.4, "noise": 1.3, "mixup": 2.0, "aligned mixup": 3.0, "all of them": 7.0}
    amounts = ["500", "2,000", "10,000", "20,000", "55,000"]
    columns = [f"  {name}: {{n: {number}}}" for number, name in enumerate(amounts)]
    variants = [f"  {name}: {{factor: {factor}}}" for name, factor in factors.items()]
    keys = ["title: Made-up results", "base: base.yaml", "seeds: [0, 1, 2, 3, 4]", "amounts: training objects"]
    lines = [*keys, "columns:", *columns[:3], "baseline_columns:", *columns[3:], "variants:", *variants]
    with TemporaryDirectory() as folder:
        (Path(folder) / "base.yaml").write_text("n: 0\n")
        (Path(folder) / "study.yaml").write_text("\n".join(lines))
        study = read_study(Path(folder) / "study.yaml")
        cells, record = cells_of(study), Record(study.record_file)
    rng = np.random.default_rng(0)
    for cell in cells:
        accuracy = 0.4 + 0.07 * np.log(factors[cell.variant] * amount(cell.column) / 500) + rng.normal(0, 0.008)
        record.take(cell, Result("", "", {"test/accuracy": float(accuracy)}, seconds=0.0))
    entries = entries_of(study, cells, record)
    save_figure(worth_figure(study, entries, worths_of(study, entries)), PICTURES / "worth.png")


if __name__ == "__main__":
    digits = ws.Zoo(sys.argv[1] if len(sys.argv) > 1 else "zoos/digits")
    for draw in (draw_overview, draw_layers, draw_symmetries, draw_views, draw_alignment):
        draw(digits)
    draw_worth()
