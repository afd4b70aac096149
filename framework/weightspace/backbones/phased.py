"""Neurons of sine networks with what signs and phases do to them, see ``weightspace.backbones.phase_gnn``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightspace.backbones.signed_graph import Products, unit_norm

#: Kinds of features that signs or parities multiply.
KINDS = ("incoming", "outgoing", "parity")


class Neurons(NamedTuple):
    """Features (B, n, C) of a hidden layer's neurons, see the module's description."""

    incoming: Tensor
    outgoing: Tensor
    parity: Tensor
    even: Tensor


class Linears(nn.Module):
    """A linear map without bias of each kind.

    Args:
        widths: features of each of ``KINDS``.
        out: length of each result.
    """

    def __init__(self, widths: Sequence[int], out: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, out, bias=False) for width in widths)

    def forward(self, kinds: Sequence[Tensor]) -> list[Tensor]:
        """Maps features of each kind."""
        return [module(kind) for module, kind in zip(self.maps, kinds, strict=True)]


class Signless(nn.Module):
    """Products of two linear maps of each kind, side by side: even.

    Args:
        widths: features of each of ``KINDS``.
        out: products of each kind.
    """

    def __init__(self, widths: Sequence[int], out: int) -> None:
        super().__init__()
        self.products = nn.ModuleList(Products(width, out, bias=False) for width in widths)

    def forward(self, kinds: Sequence[Tensor]) -> Tensor:
        """Maps features of each kind to (..., 3 * out)."""
        return torch.cat([module(kind) for module, kind in zip(self.products, kinds, strict=True)], dim=-1)


class PhasedNeurons(nn.Module):
    """New features of a hidden layer's neurons, from their own and from messages.

    Args:
        before, after: whether messages come from a hidden layer before, and from one after this one.
        hidden: features of each kind.
    """

    def __init__(self, before: bool, after: bool, hidden: int) -> None:
        super().__init__()
        widths = [hidden * (1 + before), hidden * (1 + after), hidden]
        self.own, self.mixed = Linears(widths, hidden), Linears(widths, 2 * hidden)
        self.signless = Signless(widths, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.even = nn.Linear(4 * hidden, 4 * hidden)

    def forward(self, x: Neurons, before: list[Tensor], after: list[Tensor], whole: Tensor) -> Neurons:
        """New features; ``whole`` (B, C) is added to the even ones."""
        seen = torch.cat([x.incoming, *before], dim=2), torch.cat([x.outgoing, *after], dim=2), x.parity
        even = torch.cat([self.norm(x.even), self.signless(seen)], dim=2)
        update, *gates = self.even(even).chunk(4, dim=2)
        # each kind is a factor of what both others get
        (i, j), (o, q), (p, r) = (mixed.chunk(2, dim=2) for mixed in self.mixed(seen))
        added = [own + product for own, product in zip(self.own(seen), (o * p, i * r, j * q), strict=True)]
        incoming, outgoing, parity = (
            unit_norm(kind + gate.tanh() * new) for kind, gate, new in zip(x[:3], gates, added, strict=True)
        )
        return Neurons(incoming, outgoing, parity, x.even + F.silu(update + whole.unsqueeze(1)))
