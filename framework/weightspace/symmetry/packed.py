"""Group elements as one tensor of whole numbers per batch, which is stored, gathered and sent like the parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.errors import SpecError
from weightspace.spec import NetworkSpec
from weightspace.symmetry.element import GroupElement, Parts

#: Parts of an element in the order of their columns.
PARTS = ("orders", "signs", "phases", "scales")
#: Phases up to this size are whole numbers in float32.
LARGEST_PHASE = 2**24


def pack_element(element: GroupElement) -> Tensor:
    """(B, k H) int32: k parts of H hidden neurons each, in the order of ``PARTS``; scales are the bits of float32.

    ``unpack_element`` gives an equal element again, exactly, if its scales are float32.

    Raises:
        SpecError: a phase is too large to be a whole number in float32, or there are phases without signs.
    """
    if element.phases is not None and element.signs is None:
        raise SpecError("an element with phases has signs, too, in packed form: give signs of 1")
    columns = []
    for name in PARTS:
        part: Parts | None = getattr(element, name)
        if part is None:
            continue
        joined = torch.cat(part, dim=1)
        if name == "phases" and bool((joined.abs() > LARGEST_PHASE).any()):
            raise SpecError(f"an element with a phase of {int(joined.abs().max())} multiples: at most {LARGEST_PHASE}")
        columns.append(joined.float().view(torch.int32) if name == "scales" else joined.to(torch.int32))
    return torch.cat(columns, dim=1)


def unpack_element(packed: Tensor, spec: NetworkSpec, dtype: torch.dtype = torch.float32) -> GroupElement:
    """The element of ``pack_element``.

    Args:
        packed: (B, k H) int32.
        spec: architecture of the networks.
        dtype: of signs, phases and scales.

    Raises:
        SpecError: the shape is not that of elements of such networks.
    """
    widths = spec.widths[1:-1]
    possible = part_names(spec)
    if packed.ndim != 2 or packed.shape[1] not in [k * sum(widths) for k in range(1, len(possible) + 1)]:
        raise SpecError(
            f"an element of {spec} has 1 to {len(possible)} x {sum(widths)} columns, found {tuple(packed.shape)}"
        )
    parts: dict[str, Parts] = {}
    for name, columns in zip(possible, packed.split(sum(widths), dim=1), strict=False):
        values = columns.contiguous().view(torch.float32) if name == "scales" else columns
        parts[name] = tuple(values.to(torch.int64 if name == "orders" else dtype).split(widths, dim=1))
    return GroupElement(**parts)


def part_names(spec: NetworkSpec) -> tuple[str, ...]:
    """The parts that elements of such networks can have; a smaller group has the first of them."""
    if "scale" in spec.symmetries:
        return ("orders", "scales")
    return (
        "orders",
        *(name for name, symmetry in (("signs", "sign"), ("phases", "phase")) if symmetry in spec.symmetries),
    )
