"""Elements of the symmetry groups of hidden neurons: they act on batches, compose, and have inverses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, check_batch
from weightspace.errors import SpecError
from weightspace.symmetry.groups import group_name, resolve_group
from weightspace.symmetry.transforms import permute_neurons, scale_neurons, shift_phases, sign_neurons

Parts = tuple[Tensor, ...]


@dataclass(frozen=True, repr=False)
class GroupElement:
    """One symmetry of each network of a batch: permutation first, then sign, then phase or scale.

    Sign and phase do not commute (b <- s b + k pi / omega): a semidirect product, in which the inverse of (s, k) is
    (s, -s k). Parts that a group does not have are None.

    Attributes:
        orders: per hidden layer (B, n_l) int64: new neuron i is old neuron ``orders[l][:, i]``.
        signs: per hidden layer (B, n_l), +1 or -1 (sine, tanh).
        phases: per hidden layer (B, n_l), integers k in a floating type (sine).
        scales: per hidden layer (B, n_l), > 0 (ReLU).

    >>> from weightspace.spec import NetworkSpec
    >>> spec = NetworkSpec((1, 2, 1), "tanh")
    >>> batch = WeightBatch(torch.arange(7.0)[None], spec)
    >>> swap = GroupElement((torch.tensor([[1, 0]]),), signs=(torch.tensor([[1.0, -1.0]]),))
    >>> swap.apply(batch).params
    tensor([[ 1., -0.,  3., -2.,  5., -4.,  6.]])
    >>> bool((swap.inverse().apply(swap.apply(batch)).params == batch.params).all())
    True
    """

    orders: Parts
    signs: Parts | None = None
    phases: Parts | None = None
    scales: Parts | None = None

    def __repr__(self) -> str:
        given = {"permutation": self.orders, "sign": self.signs, "phase": self.phases, "scale": self.scales}
        group = group_name(name for name, part in given.items() if part is not None)
        count, widths = len(self.orders[0]) if self.orders else 0, ", ".join(str(o.shape[1]) for o in self.orders)
        return f"GroupElement({count} networks, {group} of {widths} hidden neurons)"

    @classmethod
    def identity(cls, batch: WeightBatch) -> GroupElement:
        """The element that changes nothing, for each network of a batch."""
        check_batch("batch", batch)
        count, widths = len(batch), batch.spec.widths[1:-1]
        return cls(tuple(torch.arange(n, device=batch.device).expand(count, n) for n in widths))

    @classmethod
    def random(
        cls,
        batch: WeightBatch,
        group: str | Collection[str],
        generator: torch.Generator,
        max_phase: int = 2,
        max_scale: float = 2.0,
    ) -> GroupElement:
        """A random element of a group, for each network of a batch.

        Args:
            batch: B networks; the draws are made on its device.
            group: as ``align`` takes it, "auto" for instance, or symmetries from ``resolve_group``.
            generator: the only source of randomness.
            max_phase: k is uniform among the integers from -max_phase to max_phase.
            max_scale: scales are log-uniform between 1 / max_scale and max_scale.

        Raises:
            SpecError: the networks have no such group, or it has no permutations.
        """
        check_batch("batch", batch)
        group = resolve_group(group, batch.spec) if isinstance(group, str) else group
        if "permutation" not in group:
            raise SpecError(f"a group has permutations, found {group!r}")
        uniform = {
            part: [
                torch.rand(len(batch), n, generator=generator, device=batch.device, dtype=batch.params.dtype)
                for n in batch.spec.widths[1:-1]
            ]
            for part in sorted(group)
        }
        orders = [u.argsort(1) for u in uniform["permutation"]]
        signs = [1 - 2 * (u < 0.5).to(u.dtype) for u in uniform.get("sign", [])]
        phases = [
            (u * (2 * max_phase + 1)).floor().clamp(max=2 * max_phase) - max_phase for u in uniform.get("phase", [])
        ]
        scales = [max_scale ** (2 * u - 1) for u in uniform.get("scale", [])]
        return cls(tuple(orders), *(tuple(part) or None for part in (signs, phases, scales)))

    def apply(self, batch: WeightBatch) -> WeightBatch:
        """The moved networks: other weights, the same functions.

        Raises:
            SpecError: the element is of another shape, or not a symmetry of the activation.
        """
        check_batch("batch", batch)
        batch = permute_neurons(batch, self.orders)
        if self.signs is not None:
            batch = sign_neurons(batch, self.signs)
        if self.phases is not None:
            batch = shift_phases(batch, self.phases)
        return batch if self.scales is None else scale_neurons(batch, self.scales)

    def after(self, first: GroupElement) -> GroupElement:
        """The element that does what ``first`` does, and then what this one does."""
        orders = tuple(a.take_along_dim(b, 1) for a, b in zip(first.orders, self.orders, strict=True))
        signs = _product(self._permuted(first.signs), self.signs)
        scales = _product(self._permuted(first.scales), self.scales)
        phases = _product(self._permuted(first.phases), self.signs) if first.phases is not None else None
        if self.phases is not None:
            phases = self.phases if phases is None else tuple(a + b for a, b in zip(phases, self.phases, strict=True))
        return GroupElement(orders, signs, phases, scales)

    def inverse(self) -> GroupElement:
        """The element that undoes this one."""
        back = GroupElement(tuple(order.argsort(1) for order in self.orders))
        signs, phases, scales = (back._permuted(part) for part in (self.signs, self.phases, self.scales))
        if phases is not None:
            phases = tuple(-k for k in (_product(phases, signs) or phases))
        return GroupElement(back.orders, signs, phases, scales and tuple(1 / a for a in scales))

    def __getitem__(self, rows: slice) -> GroupElement:
        """The elements of some networks of the batch."""

        def chosen(part: Parts | None) -> Parts | None:
            return part and tuple(layer[rows] for layer in part)

        return GroupElement(chosen(self.orders) or (), chosen(self.signs), chosen(self.phases), chosen(self.scales))

    def where(self, chosen: Tensor, other: GroupElement) -> GroupElement:
        """This element for the networks that are chosen (B,) bool, another of the same parts for the rest."""

        def select(own: Parts | None, others: Parts | None) -> Parts | None:
            if own is None and others is None:
                return None
            if own is None or others is None:
                raise SpecError("elements can be mixed only if both have the same parts")
            return tuple(torch.where(chosen[:, None], a, b) for a, b in zip(own, others, strict=True))

        return GroupElement(
            tuple(torch.where(chosen[:, None], a, b) for a, b in zip(self.orders, other.orders, strict=True)),
            select(self.signs, other.signs),
            select(self.phases, other.phases),
            select(self.scales, other.scales),
        )

    @classmethod
    def cat(cls, elements: Sequence[GroupElement]) -> GroupElement:
        """The elements of several batches, of the same parts, one after the other."""

        def joined(parts: Sequence[Parts | None]) -> Parts | None:
            given = [part for part in parts if part is not None]
            if given and len(given) < len(parts):
                raise SpecError("elements can be joined only if all have the same parts")
            return tuple(torch.cat(layer) for layer in zip(*given, strict=True)) if given else None

        return cls(
            joined([e.orders for e in elements]) or (),
            joined([e.signs for e in elements]),
            joined([e.phases for e in elements]),
            joined([e.scales for e in elements]),
        )

    def _permuted(self, part: Parts | None) -> Parts | None:
        return part and tuple(t.take_along_dim(order, 1) for t, order in zip(part, self.orders, strict=True))


def _product(first: Parts | None, second: Parts | None) -> Parts | None:
    if first is None or second is None:
        return second if first is None else first
    return tuple(a * b for a, b in zip(first, second, strict=True))
