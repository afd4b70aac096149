from __future__ import annotations

import re

import pytest
import torch
from weightspace.errors import SpecError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GROUPS, GroupElement, pack_element, resolve_group, unpack_element
from weightspace.symmetry.packed import LARGEST_PHASE

CASES = [
    (activation, group)
    for activation in ("sine", "tanh", "relu")
    for group in GROUPS
    if set(group.split("+")) <= NetworkSpec((1, 1, 1), activation).symmetries
]


def test_phases_are_packed_with_signs(random_batch) -> None:
    batch = random_batch((2, 5, 1), "sine")
    element = GroupElement.random(batch, {"permutation", "phase"}, torch.Generator().manual_seed(0))
    with pytest.raises(SpecError, match="give signs of 1"):
        pack_element(element)


@pytest.mark.parametrize(("activation", "group"), CASES)
def test_an_element_comes_back_as_it_was(random_batch, activation: str, group: str) -> None:
    batch = random_batch((3, 6, 4, 3, 2), activation, count=20).to(dtype=torch.float32)
    symmetries = resolve_group(group, batch.spec)
    element = GroupElement.random(batch, symmetries, torch.Generator().manual_seed(3), max_phase=1000)
    packed = pack_element(element)
    assert (packed.dtype, packed.shape) == (torch.int32, (20, len(symmetries) * 13))
    for dtype in (torch.float32, torch.float64):
        again = unpack_element(packed, batch.spec, dtype)
        for name in ("orders", "signs", "phases", "scales"):
            parts = getattr(element, name), getattr(again, name)
            assert (parts[0] is None) == (parts[1] is None)
            for before, after in zip(*(part or () for part in parts), strict=True):
                assert torch.equal(before.to(after.dtype), after)
                assert after.dtype == (torch.int64 if name == "orders" else dtype)
    assert torch.equal(unpack_element(packed, batch.spec).apply(batch).params, element.apply(batch).params)
    assert torch.equal(pack_element(again), packed)


def test_what_is_no_element_is_refused(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3))
    for shape in ((6, 0), (6, 8), (6, 36), (6, 45), (9,), (1, 6, 9)):
        with pytest.raises(SpecError, match=re.escape(f"has 1 to 3 x 9 columns, found {shape}")):
            unpack_element(torch.zeros(shape, dtype=torch.int32), batch.spec)
    identity = GroupElement.identity(batch)
    phases = tuple(torch.full(order.shape, 2.0 * LARGEST_PHASE) for order in identity.orders)
    with pytest.raises(SpecError, match="a phase of 33554432 multiples"):
        pack_element(GroupElement(identity.orders, tuple(torch.ones_like(p) for p in phases), phases))


def test_whatever_moves_neurons_leaves_the_frame_out(random_batch) -> None:
    for activation in ("sine", "tanh", "relu"):
        batch = random_batch(activation=activation)
        element = GroupElement.random(batch, batch.spec.symmetries, torch.Generator().manual_seed(0))
        framed = batch.replace(frame=pack_element(element))
        assert torch.equal(framed[[2, 0]].frame, framed.frame[[2, 0]])
        assert framed.to(dtype=torch.float32).frame.dtype == torch.int32
        assert element.apply(framed).frame is None
    with pytest.raises(SpecError, match="frame must have one row"):
        batch.replace(frame=framed.frame[:3])
