"""Matching the neurons of one layer: assignment scores with sign and phase in closed form, and the assignment."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Case(NamedTuple):
    """Score of every pair of neurons under one sign and one parity of the phase."""

    sign: int
    parity: int
    score: Tensor


class Overlaps(NamedTuple):
    """Inner products from which a layer's scores are computed, (B, n, n) for all pairs or (B, n) for matched ones.

    Attributes:
        incoming: inner products of incoming weights.
        outgoing: inner products of outgoing weights, or None if they are not used.
        bias1, bias2: biases, broadcastable to ``incoming``.
    """

    incoming: Tensor
    outgoing: Tensor | None
    bias1: Tensor
    bias2: Tensor

    def matched(self, order: Tensor) -> Overlaps:
        """(B, n) overlaps of neuron i of the first network with neuron ``order[:, i]`` of the second."""
        where = order.unsqueeze(2)
        outgoing = None if self.outgoing is None else self.outgoing.gather(2, where).squeeze(2)
        bias2 = self.bias2.squeeze(1).gather(1, order)
        return Overlaps(self.incoming.gather(2, where).squeeze(2), outgoing, self.bias1.squeeze(2), bias2)


def cases(overlaps: Overlaps, group: Collection[str], omega: float) -> Iterator[Case]:
    """Half the decrease of the squared distance, up to a constant, for each sign and parity that the group has.

    With the phase, the residual of the bias after the nearest even or odd multiple of pi / omega enters in full; its
    odd residual is what is missing from the even one to pi / omega.
    """
    incoming, outgoing, bias1, bias2 = overlaps
    for sign in (1, -1) if "sign" in group else (1,):
        inner = incoming if sign == 1 else -incoming
        outer = None if outgoing is None else (outgoing if sign == 1 else -outgoing)
        if "phase" not in group:
            plain = torch.addcmul(inner, bias1, bias2, value=sign)
            yield Case(sign, 0, plain if outer is None else plain + outer)
            continue
        unit = math.pi / omega
        turns = (bias1 - sign * bias2) / (2 * unit)
        even = (turns - turns.round()).abs_().mul_(2)  # in units of pi / omega, 0..1
        for parity, residual in ((0, even), (1, 1 - even)):
            score = torch.addcmul(inner, residual, residual, value=-0.5 * unit * unit)
            if outer is not None:
                score = score - outer if parity else score + outer
            yield Case(sign, parity, score)


def best_score(overlaps: Overlaps, group: Collection[str], omega: float) -> Tensor:
    """(B, n, n): the largest score over all signs and parities, up to a constant: the joint problem is one assignment.

    Two scores are at most their mean plus half their absolute difference: with the phase, no parity is computed alone.
    """
    incoming, outgoing, bias1, bias2 = overlaps
    if "phase" not in group:
        plain = next(cases(overlaps, group, omega)).score
        return plain.abs() if "sign" in group else plain
    square, turn = (math.pi / omega) ** 2, omega / (2 * math.pi)
    best = None
    for sign in (1, -1) if "sign" in group else (1,):
        turns = bias1 * turn - bias2 * (sign * turn)
        from_quarter = turns.sub_(turns.round()).abs_().sub_(0.25)  # of a turn: -0.25..0.25
        half = from_quarter * square if outgoing is None else torch.add(outgoing, from_quarter, alpha=-sign * square)
        mean = torch.addcmul(incoming, from_quarter, from_quarter, value=-2 * sign * square)
        score = half.abs_().add_(mean, alpha=sign)
        best = score if best is None else torch.maximum(best, score, out=best)
    assert best is not None
    return best


def best_sign_and_phase(overlaps: Overlaps, group: Collection[str], omega: float) -> tuple[Tensor, Tensor]:
    """Signs and phases (B, n) of matched pairs: the same closed form, with the case that attains the maximum."""
    found = list(cases(overlaps, group, omega))
    chosen = torch.stack([case.score for case in found]).argmax(0)
    like = overlaps.bias2
    signs = like.new_tensor([case.sign for case in found])[chosen]
    if "phase" not in group:
        return signs, torch.zeros_like(like)
    parities = like.new_tensor([case.parity for case in found])[chosen]
    turns = (overlaps.bias1 - signs * overlaps.bias2) * (omega / math.pi)
    return signs, 2 * ((turns - parities) / 2).round() + parities
