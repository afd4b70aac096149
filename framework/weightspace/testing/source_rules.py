"""The rules of the contract of a source: one function per rule, whose docstring is part of the failure message."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import torch

from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import Recipe
from weightspace.sources import Source
from weightspace.testing.check import Rule
from weightspace.zoo.splits import evenly_spaced

#: How many objects are looked at.
SAMPLE = 5


def counts(load: Callable[[], Source]) -> None:
    """Targets are (n,) class numbers or (n, T) finite numbers with T names, 1 to n are for training; groups fit."""
    source = load()
    assert isinstance(source, Source), f"expected a Source, found {type(source).__name__}"
    assert 1 <= source.num_train <= len(source), f"num_train {source.num_train} of {len(source)}"
    assert 0 <= source.num_val <= len(source) - source.num_train, f"num_val {source.num_val} of {len(source)}"
    if (groups := source.groups) is not None:
        assert groups.shape == (len(source),), f"expected groups ({len(source)},), found {groups.shape}"
        own = np.searchsorted(
            [source.num_train, source.num_train + source.num_val], np.arange(len(source)), side="right"
        )
        sets = np.unique(np.stack([groups, own]), axis=1).shape[1]
        assert sets == len(np.unique(groups)), "a group is in several of the source's own sets"
    targets = source.targets
    if source.class_names is None:
        shape = (len(source), len(source.target_names))
        assert targets.shape == shape, f"expected targets {shape}, found {targets.shape}"
        assert targets.dtype == np.float32, f"targets are {targets.dtype}, not float32"
        assert np.isfinite(targets).all(), "targets are not finite"
        return
    assert targets.ndim == 1, f"expected targets (n,), found {targets.shape}"
    assert targets.dtype == np.int64, f"targets are {targets.dtype}, not int64"
    low, high = int(targets.min()), int(targets.max())
    assert 0 <= low <= high < len(source.class_names), f"classes {low}..{high} of {len(source.class_names)} names"


def shapes(load: Callable[[], Source]) -> None:
    """Points are float32 in [-1, 1], (N, in_dim) or (B, N, in_dim); values float32 in [0, 1], (B, N, out_dim)."""
    source = load()
    objects = evenly_spaced(len(source), SAMPLE)
    points, values = source.points(objects), source.values(objects)
    assert points.dtype == values.dtype == torch.float32, f"found {points.dtype} and {values.dtype}"
    expected = (len(objects), points.shape[-2], source.out_dim)
    assert tuple(values.shape) == expected, f"values should be {expected}, found {tuple(values.shape)}"
    places = {(expected[1], source.in_dim), (len(objects), expected[1], source.in_dim)}
    assert tuple(points.shape) in places, f"points should be one of {places}, found {tuple(points.shape)}"
    for name, tensor, low in (("points", points, -1), ("values", values, 0)):
        found = float(tensor.min()), float(tensor.max())
        assert low <= found[0] <= found[1] <= 1, f"{name} should be in [{low}, 1], found {found}"
    assert source.uniform <= expected[1], f"{source.uniform} uniform points of {expected[1]}"


def independence(load: Callable[[], Source]) -> None:
    """An object is the same alone, with others, and in another order; ``observations`` are its points and values."""
    source = load()
    objects = evenly_spaced(len(source), SAMPLE)
    for name, take, found in zip(
        ("points", "values"), (source.points, source.values), source.observations(objects), strict=True
    ):
        assert torch.equal(take(objects), found), f"{name} differ from those of observations"
    for name, take in (("points", source.points), ("values", source.values)):
        together, reverse = take(objects), take(objects.flip(0))
        if name == "points" and together.ndim == 2:
            continue
        alone = torch.cat([take(one) for one in objects.split(1)])
        assert torch.equal(together, alone), f"{name} of an object alone differ from those in company"
        assert torch.equal(together, reverse.flip(0)), f"{name} depend on the order"


def repeatability(load: Callable[[], Source]) -> None:
    """Loading it again gives the same digest, targets and values; its arguments are plain JSON, its license text."""
    first, second = load(), load()
    assert first.digest == second.digest, f"digests {first.digest} and {second.digest}"
    assert len(first.digest) == 64, f"expected a sha256 of 64 digits, found {first.digest!r}"
    assert np.array_equal(first.targets, second.targets), "targets differ"
    objects = evenly_spaced(len(first), SAMPLE)
    for name in ("class_names", "num_train", "num_val"):
        assert getattr(first, name) == getattr(second, name), f"{name} differ"
    for name, one, other in zip(
        ("points", "values"), first.observations(objects), second.observations(objects), strict=True
    ):
        assert torch.equal(one, other), f"{name} differ"
    assert json.loads(json.dumps(first.arguments)) == first.arguments, f"arguments {first.arguments}"
    for name in ("license", "attribution"):
        assert isinstance(getattr(first, name), str), f"{name} should be a text, found {getattr(first, name)!r}"


def fits(load: Callable[[], Source]) -> None:
    """Networks can be fitted to it, and the loss falls."""
    source = load()
    objects = evenly_spaced(len(source), 2)
    recipe = Recipe(hidden=(8,), steps=50, learning_rate=5e-3)
    spec, points = recipe.spec(source.in_dim, source.out_dim), source.points(objects)
    fitter = BatchedFitter(recipe, spec, points[:1] if points.ndim == 3 else points, "eager", uniform=source.uniform)
    initial = initialise(recipe, spec, 0, [(int(item), 0, 0) for item in objects])
    own = points if points.ndim == 3 else None
    values = source.values(objects)
    short = BatchedFitter(Recipe(hidden=(8,), steps=1), spec, fitter.coordinates, "eager", uniform=source.uniform)
    before, after = short.fit(initial, values, own).first_quality, fitter.fit(initial, values, own).first_quality
    assert bool((after > before).all()), f"PSNR {before.tolist()} after 1 step, {after.tolist()} after 50"


#: Each presupposes those before it, and all others presuppose these.
BASIC: tuple[Rule, ...] = (counts, shapes, repeatability)
OTHERS: tuple[Rule, ...] = (independence, fits)
