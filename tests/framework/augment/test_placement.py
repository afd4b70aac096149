"""Following where augmentations move what networks compute, in float64 and exactly."""

from __future__ import annotations

import pytest
import torch
from weightspace.augment import AugmentationChain, build_augmentations
from weightspace.network import evaluate

MOVES = [
    {"rotate": {"degrees": 180}},
    {"translate": {"scale": 0.3}},
    "sign_flip",
    {"scale": {"scale": 0.4, "p": 0.5}},
    {"rotate": {"degrees": "haar", "p": 0.5}},
    "permute",
    {"one_of": ["sign_flip", {"rotate": {"degrees": 90, "p": 0.7}}, {"translate": {"scale": 0.2}}]},
    {"some_of": {"count": 2, "of": [{"scale": {"scale": 0.2}}, "permute", {"translate": {"scale": 0.2}}]}},
    {"translate": {"scale": 0.5, "p": 0.5}},
]


@pytest.mark.parametrize("inputs", [2, 3])
def test_a_moved_network_computes_at_a_point_what_its_object_has_where_the_placement_says(random_batch, inputs) -> None:
    batch = random_batch((inputs, 5, 4, 2), count=20)
    chain = AugmentationChain(build_augmentations(MOVES), seed=3)
    chain.places = True
    moved = chain(batch)
    placement = moved.placement
    assert placement is not None
    assert placement.shape == (20, inputs, inputs + 1)
    x = torch.rand(11, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    places = (placement[:, :, :inputs] @ x.T + placement[:, :, inputs:]).mT
    assert (evaluate(moved, x) - evaluate(batch, places)).abs().max() < 1e-9
    still = torch.eye(inputs, inputs + 1, dtype=torch.float64)
    assert ((placement - still).abs().amax((1, 2)) > 1e-3).all()


def test_what_is_not_moved_has_no_placement_unless_it_is_asked_for(random_batch) -> None:
    batch = random_batch()
    chain = AugmentationChain(build_augmentations(MOVES), seed=3)
    plain = chain(batch)
    assert plain.placement is None
    chain.places = True
    assert torch.equal(chain(batch).params, plain.params)
    assert chain(batch).select(torch.tensor([2, 0])).placement.shape == (2, 2, 3)
