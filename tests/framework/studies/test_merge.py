"""Merging networks: mixtures after alignment, and what is measured on the line between two of them."""

from __future__ import annotations

import pytest
import torch
from convolved_networks import convolved, some_images
from weightspace.errors import ConfigError, SpecError
from weightspace.network import evaluate
from weightspace.studies.merge import NONE, groups_of, line, merge
from weightspace.symmetry import GroupElement, align


def test_copies_that_were_hidden_merge_to_themselves() -> None:
    batch = convolved("averaged", "relu")
    hidden = GroupElement.random(batch, batch.spec.symmetries, torch.Generator().manual_seed(0)).apply(batch)
    images = some_images(batch.spec)
    merged, plain = merge(batch, hidden), merge(batch, hidden, group=None)
    assert (merged.params - batch.params).abs().max() < 1e-6
    assert (evaluate(plain, images) - evaluate(batch, images)).abs().max() > 0.1


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_mixture_lies_on_the_line_to_the_aligned_network(weight: float) -> None:
    batch = convolved("flattened", "tanh")
    first, second = batch[:3], batch[3:]
    aligned = align(first, second).apply(second)
    expected = (1 - weight) * first.params + weight * aligned.params
    assert (merge(first, second, weight).params - expected).abs().max() < 1e-12


def test_lines_begin_and_end_at_the_networks() -> None:
    batch = convolved("averaged", "relu")
    first, second, images = batch[:3], batch[3:], some_images(batch.spec)
    found = line(first, second, lambda networks: evaluate(networks, images).square().mean((1, 2)), steps=5)
    assert list(found) == [NONE, "permutation", "permutation+scale"]
    for values in found.values():
        assert values.shape == (5, 3)
        for end, networks in ((0, first), (-1, second)):
            assert torch.allclose(values[end], evaluate(networks, images).square().mean((1, 2)))
    assert not torch.allclose(found[NONE][2], found["permutation"][2])


def test_groups_are_those_of_the_activation() -> None:
    assert groups_of(convolved("averaged", "tanh")) == ["permutation", "permutation+sign"]
    assert groups_of(convolved("averaged", "sine"))[-1] == "permutation+sign+phase"


def test_bad_input() -> None:
    batch = convolved("averaged")
    with pytest.raises(ConfigError, match="weight"):
        merge(batch, batch, 1.5)
    with pytest.raises(SpecError, match="sign"):
        merge(batch, batch, group="permutation+sign")
    with pytest.raises(ConfigError, match="steps"):
        line(batch, batch, lambda networks: networks.params[:, 0], steps=1)
