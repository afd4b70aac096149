"""Draws the pictures of the home page and of docs/concepts from a zoo with several views of scikit-learn's digits.

After `make quickstart`, whose zoo it reads: `python docs/figures.py`. The pictures are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import weightspace as ws
from torch import Tensor
from torch.nn.functional import interpolate
from weightspace.figures.images import image_grid, save_figure
from weightspace.sources import load_source

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


if __name__ == "__main__":
    digits = ws.Zoo(sys.argv[1] if len(sys.argv) > 1 else "zoos/digits")
    for draw in (draw_overview, draw_layers, draw_symmetries, draw_views, draw_alignment):
        draw(digits)
