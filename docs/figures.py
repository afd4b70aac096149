"""Draws the pictures of the home page and of docs/concepts from a zoo with several views of scikit-learn's digits.

After `make quickstart`, whose zoo it reads: `python docs/figures.py`. The pictures are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor
from weightspace.augment import AugmentationChain, build_augmentations
from weightspace.batch import WeightBatch
from weightspace.figures.images import image_grid, save_figure
from weightspace.network import evaluate
from weightspace.sources import load_source
from weightspace.symmetry import align
from weightspace.zoo import Zoo

PICTURES = Path(__file__).parent / "pictures"
SIDE = 48


def decoded(batch: WeightBatch) -> Tensor:
    """(B, SIDE, SIDE): what networks of two coordinates compute."""
    axis = torch.linspace(-1, 1, SIDE)
    return evaluate(batch, torch.cartesian_prod(axis, axis)).reshape(len(batch), SIDE, SIDE)


def second_layer(batch: WeightBatch) -> Tensor:
    """(B, out, in): the weights W_2, from -max to max as 0 to 1."""
    weights = batch.weights[1]
    return (weights / weights.abs().amax((1, 2), keepdim=True) + 1) / 2


def augmented(batch: WeightBatch, name: str, **arguments: float) -> WeightBatch:
    """The batch after one augmentation."""
    return AugmentationChain(build_augmentations([{name: arguments}]), seed=3)(batch)


def objects(batch: WeightBatch) -> Tensor:
    """(B, 8, 8): the digits that the networks were fitted to."""
    assert batch.objects is not None
    return load_source("digits").values(batch.objects).reshape(len(batch), 8, 8)


def draw_overview(zoo: Zoo) -> None:
    """Digits, the networks that store them, one layer of their weights, and the networks after a rotation."""
    rows = zoo.rows("test")
    batch = zoo.batch(rows[[int((zoo.targets[rows] == digit).nonzero()[0]) for digit in range(10)]])
    pictures = {
        "object": objects(batch),
        "network": decoded(batch),
        "weights": second_layer(batch),
        "rotated": decoded(augmented(batch, "rotate", degrees=40)),
    }
    save_figure(image_grid(pictures), PICTURES / "overview.png")


def draw_layers(zoo: Zoo) -> None:
    """The matrices of one network."""
    batch = zoo.batch(zoo.rows("test")[:1])
    names = ["digit", "network", *(f"W{layer + 1} {tuple(w.shape[1:])}" for layer, w in enumerate(batch.weights))]
    square = [torch.nn.functional.interpolate(w[None], (SIDE, SIDE))[0, 0] for w in batch.weights]
    scaled = [(w / w.abs().max() + 1) / 2 for w in square]
    digit = torch.nn.functional.interpolate(objects(batch)[None], (SIDE, SIDE))[0, 0]
    save_figure(
        image_grid({"one network": torch.stack([digit, decoded(batch)[0], *scaled])}, {"one network": names}),
        PICTURES / "layers.png",
    )


def draw_symmetries(zoo: Zoo) -> None:
    """One network, and the same function with other weights."""
    network = zoo.batch(zoo.rows("test")[:1])
    moved = {name: augmented(network, name) for name in ("permute", "sign_flip", "phase_shift")}
    moved["all of them"] = augmented(augmented(moved["permute"], "sign_flip"), "phase_shift")
    moved = {"network": network, **moved, "gaussian_noise": augmented(network, "gaussian_noise", scale=0.3)}
    images = {name: decoded(batch) for name, batch in moved.items()}
    differences = [float((image - images["network"]).abs().max()) for image in images.values()]
    figure = image_grid(
        {
            "function": torch.cat(list(images.values())),
            "weights": torch.cat([second_layer(batch) for batch in moved.values()]),
        },
        {
            "function": [
                f"{name}\ndiffers by {d:.0e}" if d else name for name, d in zip(moved, differences, strict=True)
            ]
        },
    )
    save_figure(figure, PICTURES / "symmetries.png")


def draw_views(zoo: Zoo) -> None:
    """Three networks of one object: alike as functions, unlike as weights."""
    rows = zoo.rows("train")
    first = zoo.objects[rows] == zoo.objects[rows[0]]
    second = zoo.objects[rows] == zoo.objects[rows[~first]][0]
    batch = zoo.batch(torch.cat([rows[first], rows[second]]))
    names = [f"object {o}, view {v}" for o, v in zip(batch.objects.tolist(), batch.views.tolist(), strict=True)]
    figure = image_grid({"function": decoded(batch), "weights": second_layer(batch)}, {"function": names})
    save_figure(figure, PICTURES / "views.png")


def draw_alignment(zoo: Zoo) -> None:
    """Networks on the straight line between two views of one object, before and after alignment."""
    rows = zoo.rows("train")
    pair = zoo.batch(rows[zoo.objects[rows] == zoo.objects[rows[0]]][:2])
    here, there = pair.select(torch.tensor([0])), pair.select(torch.tensor([1]))
    steps = torch.linspace(0, 1, 9)
    images = {}
    for name, end in {"as fitted": there, "aligned": align(here, there).apply(there)}.items():
        line = torch.lerp(here.params, end.params, steps[:, None])
        images[name] = decoded(WeightBatch(line, zoo.spec))
    figure = image_grid(images, {"as fitted": [f"{share:.0%}" for share in steps.tolist()]})
    save_figure(figure, PICTURES / "alignment.png")


if __name__ == "__main__":
    digits = Zoo(sys.argv[1] if len(sys.argv) > 1 else "zoos/digits")
    for draw in (draw_overview, draw_layers, draw_symmetries, draw_views, draw_alignment):
        draw(digits)
