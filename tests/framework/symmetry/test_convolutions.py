"""Symmetries of networks with convolutions: channels are neurons, and the function stays, in float64."""

from __future__ import annotations

import pytest
import torch
from convolved_networks import SHAPES, convolved, some_images
from weightspace.batch import WeightBatch
from weightspace.network import evaluate
from weightspace.symmetry import GroupElement, align, canonicalise, pack_element, unpack_element
from weightspace.symmetry.alignment import squared_distance

ACTIVATIONS = ["relu", "tanh", "sine", "several"]


def moved(batch: WeightBatch, seed: int = 0) -> tuple[GroupElement, WeightBatch]:
    element = GroupElement.random(batch, batch.spec.symmetries, torch.Generator().manual_seed(seed))
    return element, element.apply(batch)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_all_symmetries_leave_the_function(name: str, activation: str) -> None:
    batch = convolved(name, activation)
    images = some_images(batch.spec)
    for symmetry in sorted(batch.spec.symmetries):
        element = GroupElement.random(batch, {"permutation", symmetry}, torch.Generator().manual_seed(3))
        other = element.apply(batch)
        assert (other.params - batch.params).abs().max() > 0.1
        assert (evaluate(other, images) - evaluate(batch, images)).abs().max() < 1e-9
        assert (element.inverse().apply(other).params - batch.params).abs().max() < 1e-9


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_hidden_element_is_found_again(name: str, activation: str) -> None:
    batch = convolved(name, activation)
    _, other = moved(batch)
    before = squared_distance(batch, other)
    aligned = align(batch, other).apply(other)
    assert (squared_distance(batch, aligned) < 1e-9 * before).all()
    images = some_images(batch.spec)
    assert (evaluate(aligned, images) - evaluate(batch, images)).abs().max() < 1e-6
    by_outputs = align(batch, other, coordinates=images).apply(other)
    assert (squared_distance(batch, by_outputs) < 1e-9 * before).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_alignment_brings_independent_networks_closer_and_never_moves_the_function(activation: str) -> None:
    batch = convolved("averaged", activation, count=8)
    first, second = batch[:4], batch[4:]
    aligned = align(first, second).apply(second)
    assert (squared_distance(first, aligned) < squared_distance(first, second)).all()
    images = some_images(batch.spec)
    assert (evaluate(aligned, images) - evaluate(second, images)).abs().max() < 1e-9


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_networks_that_differ_by_a_symmetry_have_one_canonical_form(name: str, activation: str) -> None:
    batch = convolved(name, activation)
    form = canonicalise(batch)
    images = some_images(batch.spec)
    assert (evaluate(form, images) - evaluate(batch, images)).abs().max() < 1e-9
    for seed in range(3):
        assert (canonicalise(moved(batch, seed)[1]).params - form.params).abs().max() < 1e-9


def test_elements_are_packed_as_those_of_other_networks() -> None:
    batch = convolved("deep", "sine")
    element, other = moved(batch)
    again = unpack_element(pack_element(element), batch.spec, batch.params.dtype)
    assert torch.equal(again.apply(batch).params, other.params)
