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


#: Width from which on the solver runs on several threads, and is worth a longer preparation: narrower matrices are
#: solved faster than a thread is woken.
WIDE = 64
#: First temperature of the balancing before an assignment, in units of the mean cost, and rounds at each temperature.
TEMPERATURE, ROUNDS = 0.1, 5
#: Temperatures for wide matrices, each a quarter of the one before.
STAGES = 3


def assign(scores: Tensor) -> Tensor:
    """Solves the linear assignment problem for each matrix: columns for rows, with the largest total score.

    scipy's solver (shortest augmenting paths, from potentials of zero) goes through each matrix in turn, wide ones on
    as many threads as torch has: it releases the interpreter's lock. Rows and columns are balanced first, for all
    matrices at once, which leaves the solution unchanged and shortens the solver's paths.

    Args:
        scores: (B, n, n), finite.

    Returns:
        (B, n) int64, the column of each row, on the device of ``scores``.

    >>> assign(torch.tensor([[[1.0, 5.0], [2.0, 3.0]]]))
    tensor([[1, 0]])
    """
    costs = _balanced(scores).double().cpu().numpy()
    columns = torch.empty(costs.shape[:2], dtype=torch.int64)
    found = columns.numpy()

    def solve(rows: range) -> None:
        for row in rows:
            found[row] = linear_sum_assignment(costs[row])[1]

    threads = torch.get_num_threads() if costs.shape[1] >= WIDE else 1
    workers = min(threads, len(costs))
    shares = [range(start, len(costs), workers) for start in range(workers)]
    if workers == 1:
        solve(shares[0])
    elif workers:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(solve, shares))
    return columns.to(scores.device)


def _balanced(scores: Tensor) -> Tensor:
    """Costs (B, n, n) from which numbers per row and per column were taken, so that each has entries near zero.

    The numbers are the potentials of the entropic relaxation of the assignment (Sinkhorn's algorithm, a few rounds),
    close to the dual solution that the solver would otherwise build up from zero. A balanced kernel to the fourth
    power is the kernel at a quarter of the temperature: no further exponentials.
    """
    cost = scores.amax(2, keepdim=True) - scores
    least = torch.finfo(cost.dtype).tiny
    scale = (TEMPERATURE * cost.mean((1, 2), keepdim=True)).clamp(min=least)
    kernel = (cost / -scale).exp_()
    rows, columns = torch.ones_like(kernel[:, :, :1]), torch.ones_like(kernel[:, :1])
    row_potentials, column_potentials = torch.zeros_like(rows), torch.zeros_like(columns)
    for stage in range(STAGES if cost.shape[1] >= WIDE else 1):
        if stage:
            kernel = (kernel * rows).mul_(columns).clamp_(min=1e-9).square_().square_()  # no subnormal numbers
            scale, columns = scale / 4, torch.ones_like(columns)
        for _ in range(ROUNDS):
            rows = (kernel * columns).sum(2, keepdim=True).clamp_(min=least).reciprocal_()
            columns = (rows.transpose(1, 2) @ kernel).clamp_(min=least).reciprocal_()
        row_potentials, column_potentials = (
            row_potentials + scale * rows.log(),
            column_potentials + scale * columns.log(),
        )
    return cost.sub_(row_potentials).sub_(column_potentials)
