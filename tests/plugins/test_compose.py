"""Compositions: who draws what and how often, parts alone and composed bit for bit, exactness, errors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from weightspace.augment import Augmentation, build_augmentations
from weightspace.batch import WeightBatch, soft_targets
from weightspace.testing import parametrize_checks
from weightspace_plugins.compose import OneOf, Repeat, SomeOf
from weightspace_plugins.composition import Composition
from weightspace_plugins.labels import LabelSmoothing
from weightspace_plugins.mixup import MixUp
from weightspace_plugins.noise import Dropout

STORED = {"mixup_aligned": {"stored": True}}
RAMP = {"gaussian_noise": {"ramp_epochs": 5}}
EVERY = [
    OneOf(["sign_flip", "gaussian_noise"]),
    OneOf(["rotate", {"scale": {"p": 0.5}}, "permute"], weights=[3, 2, 1], p=0.7),
    OneOf([STORED, "permute", "label_smoothing"]),
    OneOf([{"some_of": {"count": [0, 2], "of": ["rotate", RAMP]}}, {"one_of": ["positive_scale", "mixup"]}]),
    SomeOf(2, ["rotate", "translate", "mixup"], [3, 2, 1]),
    SomeOf([0, 3], ["rotate", "translate", "permute"]),
    Repeat(RAMP, 2),
    Repeat([{"rotate": {"p": 0.4}}, "translate"], 3),
]


@parametrize_checks(*EVERY)
def test_contract(check) -> None:
    check()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same_rows(one: WeightBatch, other: WeightBatch) -> Tensor:
    """(B,) whether networks and targets are equal, bit for bit."""
    return (one.params == other.params).all(1) & (soft_targets(one) == soft_targets(other)).all(1)


def alone(composed: Composition, batch: WeightBatch, seed: int = 0) -> dict[int, tuple[Tensor, WeightBatch]]:
    """For each part that was drawn: its networks, and what it makes of them by itself with its own draws."""
    results = {}
    for place, rows, drawn in composed.sample(batch, generator(seed)).steps:
        part = composed.parts[place]
        rows = torch.arange(len(batch)) if rows is None else rows
        if part.mixes:
            results[place] = rows, part.apply(batch, drawn).select(rows)
        else:
            results[place] = rows, part.apply(batch.select(rows), drawn)
    return results


@pytest.mark.parametrize(
    "of",
    [
        ["sign_flip", "gaussian_noise"],
        ["rotate", "label_smoothing", "mixup"],
        [Dropout(0.3), {"one_of": ["permute", "translate"]}, "mixup_aligned"],
    ],
)
def test_each_network_gets_exactly_one_part_and_what_that_part_makes_alone(random_batch, of) -> None:
    batch, composed = random_batch(count=64), OneOf(of)
    after = composed(batch, generator())
    results = alone(composed, batch)
    assert len(results) == len(of), "in 64 networks each is drawn"
    assert torch.cat([rows for rows, _ in results.values()]).sort().values.tolist() == list(range(64))
    for rows, expected in results.values():
        assert same_rows(after.select(rows), expected).all()
    assert not same_rows(after, batch).any()


def test_parts_that_draw_nothing_are_told_apart_by_their_results(random_batch) -> None:
    """Without looking into the draws: every network is as one part or the other leaves it."""
    batch, parts = random_batch(count=64), [LabelSmoothing(0.1), LabelSmoothing(0.5)]
    after = OneOf(parts)(batch, generator())
    first, second = (same_rows(after, part(batch, generator())) for part in parts)
    assert (first ^ second).all()
    assert 15 < int(first.sum()) < 49


class Affine(Augmentation):
    """params <- factor * params + shift: what comes first shows."""

    def __init__(self, factor: float, shift: float, p: float = 1.0) -> None:
        super().__init__(p)
        self.factor, self.shift = factor, shift

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> None:
        return None

    def apply(self, batch: WeightBatch, params: None) -> WeightBatch:
        return batch.replace(params=self.factor * batch.params + self.shift)


def test_some_and_repeat_apply_in_the_listed_order(random_batch) -> None:
    batch = random_batch(count=64)
    parts = [Affine(2, 0), Affine(1, 3), Affine(5, 0)]
    after, chosen = SomeOf(2, parts)(batch, generator()), SomeOf(2, parts).choose(batch, generator())
    for network in range(64):
        expected = batch[network]
        for part in [part for part, taken in zip(parts, chosen[:, network], strict=True) if taken]:
            expected = part.apply(expected, None)
        assert torch.equal(after.params[network], expected.params[0])
    assert torch.equal(Repeat(parts[:2], 2)(batch, generator()).params, 2 * (2 * batch.params + 3) + 3)


class Scaled(Augmentation):
    """Its draw depends on the networks that it is given."""

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        return batch.params.abs().amax(1, keepdim=True)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        return batch.replace(params=batch.params / params)


def test_a_part_draws_for_the_networks_as_those_before_it_leave_them(random_batch) -> None:
    batch = random_batch()
    after = Repeat([Affine(3, 1), Scaled()], 1)(batch, generator())
    assert torch.allclose(after.params.abs().amax(1), torch.ones(6, dtype=torch.float64))


def test_what_was_drawn_for_some_networks_can_be_applied_to_others(random_batch) -> None:
    """What sample has computed on the way is of the networks that it was given alone."""
    batch = random_batch(count=8)
    other = batch.replace(params=2 * batch.params)
    composed = SomeOf([1, 2], [Affine(2, 1), Affine(1, 3), "permute"])
    draw = composed.sample(batch, generator())
    equal = batch.replace(params=batch.params.clone())
    assert torch.equal(composed.apply(batch, draw).params, composed.apply(equal, draw).params)
    expected = other
    for place, rows, drawn in draw.steps:
        part = composed.parts[place]
        rows = torch.arange(8) if rows is None else rows
        changed = part.apply(expected.select(rows), drawn)
        expected = expected.replace(params=expected.params.index_copy(0, rows, changed.params))
    assert torch.equal(composed.apply(other, draw).params, expected.params)


def test_all_of_a_chain_once_is_that_chain(random_batch) -> None:
    """With every part drawn for every network, the draws are those of the parts in turn."""
    batch, names = random_batch(count=10), ["rotate", "gaussian_noise", "mixup", "sign_flip"]
    expected, source = batch, generator(4)
    for part in build_augmentations(names):
        expected = part(expected, source)
    assert same_rows(Repeat(names, 1)(batch, generator(4)), expected).all()


def test_partners_are_any_networks_of_the_batch_as_they_were_given(random_batch) -> None:
    batch = random_batch(count=64)
    composed = OneOf([MixUp(), {"dropout": {"probability": 0.9}}])
    draw = composed.sample(batch, generator())
    ((_, rows, mix),) = [step for step in draw.steps if step.place == 0]
    others = set(range(64)) - set(rows.tolist())
    assert others & set(mix.partners[rows].tolist()), "also those that drew dropout"
    lam = mix.lam[rows, None]
    expected = torch.lerp(batch.params[mix.partners[rows]], batch.params[rows], lam)
    assert torch.equal(composed.apply(batch, draw).params[rows], expected)


def test_targets_of_the_others_stay(random_batch) -> None:
    batch = random_batch(count=64)
    hard = OneOf(["permute", "rotate"])(batch, generator())
    assert torch.equal(hard.targets, batch.targets), "no part uses labels: classes stay classes"
    composed = OneOf(["permute", "mixup"])
    after = composed(batch, generator())
    rows, _ = alone(composed, batch)[0]
    assert torch.equal(after.targets[rows], soft_targets(batch)[rows])
    values = batch.replace(targets=torch.rand(64, 1), num_classes=None)
    assert OneOf(["permute", "mixup"])(values, generator()).targets.shape == (64, 1)
