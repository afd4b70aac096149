from __future__ import annotations

from itertools import permutations

import pytest
import torch
from weightspace.errors import ConfigError, SpecError
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GROUPS, GroupElement, check_group, group_name, resolve_group

WIDTHS = [(2, 5, 1), (3, 5, 4, 3, 2), (1, 3, 3, 3, 3, 1)]
CASES = [
    (activation, group)
    for activation in ("sine", "tanh", "relu")
    for group in GROUPS
    if set(group.split("+")) <= NetworkSpec((1, 1, 1), activation).symmetries
]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("activation", "group"), CASES)
def test_networks_keep_their_precision(random_batch, activation: str, group: str) -> None:
    batch = random_batch((2, 5, 4, 1), activation)
    element = GroupElement.random(batch, group, generator(0))
    assert element.apply(batch.to(torch.float32)).params.dtype == torch.float32
    assert torch.allclose(
        element.apply(batch.to(torch.float32)).params.double(), element.apply(batch).params, atol=1e-5
    )


def test_a_group_is_named_as_align_names_it(random_batch) -> None:
    batch = random_batch((2, 5, 1), "tanh")
    named, given = (GroupElement.random(batch, group, generator(0)) for group in ("auto", batch.spec.symmetries))
    assert torch.equal(named.apply(batch).params, given.apply(batch).params)
    with pytest.raises(SpecError, match="scale is no symmetry"):
        GroupElement.random(batch, "permutation+scale", generator(0))
    with pytest.raises(SpecError, match="a group has permutations"):
        GroupElement.random(batch, {"sign"}, generator(0))


def test_what_is_no_batch_is_named(random_batch) -> None:
    batch = random_batch((2, 5, 1))
    for wrong in (
        lambda: GroupElement.identity(batch.params),
        lambda: GroupElement.identity(batch).apply(batch.params),
    ):
        with pytest.raises(SpecError, match="batch must be a WeightBatch"):
            wrong()


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize(("activation", "group"), CASES)
def test_elements_form_a_group_that_keeps_the_function(random_batch, widths, activation: str, group: str) -> None:
    batch = random_batch(widths, activation)
    symmetries = resolve_group(group, batch.spec)
    g, h = (GroupElement.random(batch, symmetries, generator(seed)) for seed in (0, 1))
    moved = g.apply(batch)
    x = torch.rand(9, widths[0], dtype=torch.float64)
    assert (evaluate(moved, x) - evaluate(batch, x)).abs().max() < 1e-9
    assert (moved.params - batch.params).abs().max() > 0.05
    assert (g.inverse().apply(moved).params - batch.params).abs().max() < 1e-12
    assert (g.after(h).apply(batch).params - g.apply(h.apply(batch)).params).abs().max() < 1e-12
    assert (g.inverse().after(g).apply(batch).params - batch.params).abs().max() < 1e-12
    identity = GroupElement.identity(batch)
    assert torch.equal(identity.apply(batch).params, batch.params)
    assert torch.equal(identity.after(g).apply(batch).params, g.after(identity).apply(batch).params)
    chosen = torch.tensor([True, False] * 3)
    mixed = g.where(chosen, h).apply(batch).params
    assert torch.equal(mixed[chosen], g.apply(batch).params[chosen])
    assert torch.equal(mixed[~chosen], h.apply(batch).params[~chosen])


def test_signs_and_phases_do_not_commute(random_batch) -> None:
    batch = random_batch((2, 3, 1))
    orders = GroupElement.identity(batch).orders
    minus = GroupElement(orders, signs=(-torch.ones(6, 3, dtype=torch.float64),))
    shift = GroupElement(orders, phases=(torch.ones(6, 3, dtype=torch.float64),))
    assert (minus.after(shift).apply(batch).params - shift.after(minus).apply(batch).params).abs().max() > 0.1


def test_random_elements_are_spread(random_batch) -> None:
    batch = random_batch((2, 4, 1), count=4000)
    g = GroupElement.random(batch, {"permutation", "sign", "phase"}, generator(0), max_phase=1)
    assert (g.orders[0] == 0).double().mean(0) == pytest.approx([0.25] * 4, abs=0.03)
    assert float((g.signs[0] == 1).double().mean()) == pytest.approx(0.5, abs=0.02)
    assert [float((g.phases[0] == k).double().mean()) for k in (-1, 0, 1)] == pytest.approx([1 / 3] * 3, abs=0.02)
    relu = random_batch((2, 4, 1), "relu", count=4000)
    scales = GroupElement.random(relu, relu.spec.symmetries, generator(0), max_scale=3).scales[0]
    assert float(scales.log().abs().max()) <= torch.tensor(3.0).log()
    assert float(scales.log().mean()) == pytest.approx(0, abs=0.03)


def test_groups_that_the_activation_has_not_are_refused() -> None:
    relu = NetworkSpec((2, 4, 1), "relu")
    assert resolve_group("auto", relu) == {"permutation", "scale"}
    with pytest.raises(SpecError, match=r"'permutation\+sign': sign is no symmetry of networks 2-4-1 relu"):
        resolve_group("permutation+sign", relu)
    with pytest.raises(SpecError, match="did you mean 'permutation'"):
        resolve_group("permutatio", relu)
    with pytest.raises(SpecError, match="unknown group 3"):
        resolve_group(3, relu)  # type: ignore[arg-type]


def test_a_group_has_one_name_in_whatever_order_its_parts_are_given() -> None:
    sine = NetworkSpec((2, 4, 1), "sine")
    for parts in permutations(("permutation", "sign", "phase")):
        assert resolve_group("+".join(parts), sine) == {"permutation", "sign", "phase"}
        assert group_name(parts) == check_group("group", "+".join(parts)) == "permutation+sign+phase"
    for wrong in ("permutation+phase", "sign", "permutation+sign+sign", "", 3):
        with pytest.raises(ConfigError, match="group must be one of auto, permutation, .*found"):
            check_group("group", wrong)
