"""Coordinate descent over hidden layers: each is matched while its neighbours stay."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.symmetry.assignment import assign
from weightspace.symmetry.element import GroupElement
from weightspace.symmetry.layers import gathered, incoming, of_columns, of_rows
from weightspace.symmetry.layers import outgoing as outgoing_of
from weightspace.symmetry.matching import Overlaps, best_score, best_sign_and_phase


class Descent:
    """The element that is found layer by layer for each pair of networks, by permutation, sign and phase.

    The second network of a pair is never moved: what its neighbours' parts of the element do to a layer's weights is
    done to rows where they are read, and each layer's part is found anew, not composed with the part before.

    Args:
        reference: B networks.
        other: B networks that are to come close to them.
        start: the first element; None: the identity.
        symmetries: from ``resolve_group``, without the scale.
    """

    def __init__(
        self, reference: WeightBatch, other: WeightBatch, start: GroupElement | None, symmetries: frozenset[str]
    ) -> None:
        self.reference, self.other, self.symmetries = reference, other, symmetries
        start = start or GroupElement.identity(other)
        hidden = other.biases[:-1]
        self.orders = [order.clone() for order in start.orders]
        self.signs = [s.clone() for s in start.signs or [torch.ones_like(b) for b in hidden]]
        self.phases = [k.clone() for k in start.phases or [torch.zeros_like(b) for b in hidden]]
        self._pending = [torch.ones(len(other), dtype=torch.bool, device=other.device) for _ in hidden]

    @property
    def layers(self) -> range:
        """The hidden layers, from the input."""
        return range(len(self.orders))

    @property
    def element(self) -> GroupElement:
        """The element found so far, with the parts that its group has."""
        signs = tuple(self.signs) if "sign" in self.symmetries else None
        phases = tuple(self.phases) if "phase" in self.symmetries else None
        return GroupElement(tuple(self.orders), signs, phases)

    def match(self, layer: int, outgoing: bool, order: Tensor | None = None) -> None:
        """Finds the best places, signs and phases of one layer's neurons.

        Pairs in which neither this layer nor its neighbours have changed since it was matched are skipped.

        Args:
            layer: number of the hidden layer.
            outgoing: whether outgoing weights count, beside incoming ones and biases.
            order: (B, n) places that are given; only signs and phases are found.
        """
        rows = self._pending[layer].nonzero().squeeze(1)
        if not len(rows):
            return
        overlaps = self._overlaps(rows, layer, outgoing)
        omega, given = self.other.spec.omegas[layer], order is not None
        found = assign(best_score(overlaps, self.symmetries, omega)) if order is None else order[rows]
        changed = self._store(self.orders[layer], rows, found)
        if len(self.symmetries) > 1:
            sign, phase = best_sign_and_phase(overlaps.matched(found), self.symmetries, omega)
            changed |= self._store(self.signs[layer], rows, sign) | self._store(self.phases[layer], rows, phase)
        self._pending[layer][rows] = given or not outgoing
        for neighbour in (layer - 1, layer + 1):
            if neighbour in self.layers:
                self._pending[neighbour][rows] |= changed

    @staticmethod
    def _store(part: Tensor, rows: Tensor, found: Tensor) -> Tensor:
        """Replaces the values of some pairs; (B,) whether any of them differs."""
        changed = (part[rows] != found).any(1)
        part[rows] = found
        return changed

    def _overlaps(self, rows: Tensor, layer: int, outgoing: bool) -> Overlaps:
        """Inner products of all neurons of a layer with all neurons of the reference, for some pairs."""
        chosen = slice(None) if len(rows) == len(self.other) else rows
        weights, biases = self.reference.weights, self.reference.biases
        bias1, bias2 = biases[layer][chosen].unsqueeze(2), self.other.biases[layer][chosen].unsqueeze(1)
        inner = incoming(weights[layer][chosen]) @ incoming(self._incoming(layer, chosen)).transpose(1, 2)
        if not outgoing:
            return Overlaps(inner, None, bias1, bias2)
        towards = outgoing_of(weights[layer + 1][chosen])
        following = outgoing_of(self._outgoing(layer, chosen)).transpose(1, 2)
        if "phase" in self.symmetries:
            return Overlaps(inner, towards @ following, bias1, bias2)
        return Overlaps(inner.baddbmm_(towards, following), None, bias1, bias2)  # a sign is that of both

    def _incoming(self, layer: int, chosen: Tensor | slice) -> Tensor:
        """Weights of a layer of the second networks, moved by the element's part of the layer before."""
        weight = self.other.weights[layer][chosen]
        if layer == 0:
            return weight
        moved = gathered(weight, self.orders[layer - 1][chosen])
        if len(self.symmetries) > 1:
            gain = self.signs[layer - 1] * (1 - 2 * self.phases[layer - 1].remainder(2))
            moved *= of_columns(gain[chosen], moved)
        return moved

    def _outgoing(self, layer: int, chosen: Tensor | slice) -> Tensor:
        """Weights of the layer that follows, of the second networks, moved by the element's part of that layer."""
        weight, following = self.other.weights[layer + 1][chosen], layer + 1
        if following not in self.layers:
            return weight
        order = self.orders[following][chosen]
        first = torch.arange(len(order), device=order.device).unsqueeze(1) * order.shape[1]
        moved = weight.flatten(0, 1).index_select(0, (first + order).flatten()).view_as(weight)
        if "sign" in self.symmetries:
            moved *= of_rows(self.signs[following][chosen], moved)
        return moved
