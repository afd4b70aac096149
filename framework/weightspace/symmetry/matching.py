"""Matching the neurons of one layer: assignment scores with sign and phase in closed form, and the assignment."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class Case(NamedTuple):
    """One sign and one parity of the phase, and how much closer each pair of neurons comes with them."""

    sign: int
    parity: int
    score: Tensor


class Overlaps(NamedTuple):
    """What the scores of a layer are made of: any shape, (B, n, n) for all pairs or (B, n) for matched ones.

    Attributes:
        incoming: inner products of incoming weights.
        outgoing: inner products of outgoing weights, or None where they are not to be looked at.
        bias1, bias2: biases, broadcastable to ``incoming``.
    """

    incoming: Tensor
    outgoing: Tensor | None
    bias1: Tensor
    bias2: Tensor

    def matched(self, order: Tensor) -> Overlaps:
        """(B, n) overlaps of neuron i of the first network with neuron ``order[:, i]`` of the second."""
        where = order.unsqueeze(2)
        outgoing = None if self.outgoing is None else self.outgoing.take_along_dim(where, 2).squeeze(2)
        bias2 = self.bias2.squeeze(1).take_along_dim(order, 1)
        return Overlaps(self.incoming.take_along_dim(where, 2).squeeze(2), outgoing, self.bias1.squeeze(2), bias2)


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
    """(B, n, n): the largest score over all signs and parities; the joint problem stays one assignment."""
    found = cases(overlaps, group, omega)
    best = next(found).score
    for case in found:
        best = torch.maximum(best, case.score)
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


def assign(scores: Tensor) -> Tensor:
    """For each matrix the assignment of columns to rows with the largest total score.

    scipy's solver (Jonker-Volgenant without an initialisation) goes through each matrix in turn, on as many threads as
    torch has: it releases the interpreter's lock. Rows and columns are reduced first, for all matrices at once, which
    leaves the solution unchanged and halves the solver's time.

    Args:
        scores: (B, n, n), finite.

    Returns:
        (B, n) int64, the column of each row, on the device of ``scores``.

    >>> assign(torch.tensor([[[1.0, 5.0], [2.0, 3.0]]]))
    tensor([[1, 0]])
    """
    cost = scores.amax(2, keepdim=True) - scores
    cost = (cost - cost.amin(1, keepdim=True)).double().cpu()
    count, width, _ = cost.shape
    columns = torch.empty(count, width, dtype=torch.int64)
    costs, found = cost.numpy(), columns.numpy()

    def solve(rows: range) -> None:
        for row in rows:
            found[row] = linear_sum_assignment(costs[row])[1]

    workers = min(torch.get_num_threads(), count)
    shares = [range(start, count, workers) for start in range(workers)]
    if workers == 1:
        solve(shares[0])
    elif workers:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(solve, shares))
    return columns.to(scores.device)
