"""Alignment in pairs per second, against a plain one-pair-at-a-time matcher on the CPU; solvers side by side."""

from __future__ import annotations

from statistics import median

import torch
from common import Report, Row, rate
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import load_source
from weightspace.symmetry import align
from weightspace.symmetry.assignment import SOLVERS, assign, describe_solver, solver, use_solver

PAIRS = 256
#: Ratios to the plain matcher that permutation should reach with two threads.
GOALS = {"2-32-32-1": 2.8, "2-128-128-128-3": 3.3}


def fitted(activation: str, count: int) -> WeightBatch:
    """Fits networks 2-32-32-1 to digits with 100 steps."""
    recipe = load_recipe({"sine": "siren"}.get(activation, activation), {"hidden": [32, 32], "steps": 100})
    source = load_source("digits")
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), source.coordinates(), "eager")
    blocks = []
    for rows in torch.arange(count).split(fitter.block):
        initial = initialise(recipe, fitter.spec, 0, [(int(row), 0, 0) for row in rows])
        blocks.append(fitter.fit(initial, source.values(rows)).params)
    return WeightBatch(torch.cat(blocks), fitter.spec)


def initialised(hidden: list[int], outputs: int, count: int) -> WeightBatch:
    """Initialises networks without fitting them, which hardly affects the cost of an alignment."""
    recipe = load_recipe("siren", {"hidden": hidden})
    spec = recipe.spec(2, outputs)
    return WeightBatch(initialise(recipe, spec, 0, [(i, 0, 0) for i in range(count)]), spec)


def one_pair(first: tuple[list[Tensor], list[Tensor]], second: tuple[list[Tensor], list[Tensor]], sweeps: int) -> None:
    """Matches the permutations of one pair layer by layer, like published code."""
    (w1, b1), (w2, b2) = first, ([w.clone() for w in second[0]], [b.clone() for b in second[1]])
    for _ in range(sweeps):
        for layer in range(len(w1) - 1):
            score = w1[layer] @ w2[layer].T + torch.outer(b1[layer], b2[layer]) + w1[layer + 1].T @ w2[layer + 1]
            order = torch.from_numpy(linear_sum_assignment(score.numpy(), maximize=True)[1])
            w2[layer], b2[layer], w2[layer + 1] = w2[layer][order], b2[layer][order], w2[layer + 1][:, order]


def plain(batch: WeightBatch) -> int:
    """Matches up to 32 pairs, one after the other."""
    pairs = [(([w[i] for w in batch.weights], [b[i] for b in batch.biases])) for i in range(min(len(batch), 32))]
    for i, pair in enumerate(pairs):
        one_pair(pair, pairs[i - 1], sweeps=2)
    return len(pairs)


def batched(batch: WeightBatch, group: str) -> int:
    """Aligns all pairs, and moves the second networks."""
    other = batch.replace(params=batch.params.roll(1, 0))
    align(batch, other, group).apply(other)
    return len(batch)


def against_plain(report: Report, name: str, batch: WeightBatch, groups: tuple[str, ...], seconds: float) -> Row:
    """Adds the rates of the plain matcher and of several groups; returns that of the plain matcher.

    They take turns, since the speed of a shared machine changes from second to second: each rate is the median of its
    rounds, and so is that of the plain matcher, which begins each turn.
    """
    moved, turns = batch.to(report.device), 5
    rounds: dict[str, list[float]] = {"plain": [], **{group: [] for group in groups}}
    for _ in range(turns):
        rounds["plain"].append(rate(lambda: plain(batch), seconds / turns))
        for group in groups:
            rounds[group].append(rate(lambda: batched(moved, group), seconds / turns, report.device))  # noqa: B023
    base = report.add(f"{name}, one pair at a time, permutation", median(rounds["plain"]), "pairs/s")
    for group in groups:
        row = report.add(f"{name}, {group}", median(rounds[group]), "pairs/s", base)
        if group == "permutation" and row.ratio is not None:
            outcome = "reached" if row.ratio >= GOALS[name] else "missed"
            print(f"    goal with two threads on a CPU: {GOALS[name]} x, {outcome} with {torch.get_num_threads()}")
    return base


def scores_of(width: int, near: bool) -> Tensor:
    """Scores of hidden layers of initialised networks, of unrelated ones or of one with noise, its neurons permuted."""
    weight = initialised([width, width], 1, max(8, 4096 // width)).weights[1]
    other = weight.roll(1, 0)
    if near:
        noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
        order = torch.randperm(width, generator=torch.Generator().manual_seed(1))
        other = (weight + 0.5 * weight.std() * noise)[:, order]
    return weight @ other.transpose(1, 2)


def bare(scores: Tensor) -> int:
    """Assignments by scipy's solver without balancing."""
    for matrix in scores.numpy():
        linear_sum_assignment(matrix, maximize=True)
    return len(scores)


def bare_lapx(scores: Tensor) -> int:
    """Assignments by lapx without balancing."""
    from lap import lapjvr_batch

    lapjvr_batch((-scores).numpy(), return_cost=False, n_threads=1)
    return len(scores)


def balanced(scores: Tensor, name: str) -> int:
    """Assignments by ``assign`` with one of its solvers."""
    before = use_solver(name)
    assign(scores)
    use_solver(before)
    return len(scores)


def side_by_side(report: Report, width: int, near: bool, seconds: float) -> None:
    """Adds the rates of each solver, with and without balancing, in one thread."""
    scores, name = scores_of(width, near), f"width {width}, {'nearly matched' if near else 'unrelated'}"
    base = report.add(f"{name}: scipy", rate(lambda: bare(scores), seconds), "matrices/s")
    report.add(f"{name}: lapx", rate(lambda: bare_lapx(scores), seconds), "matrices/s", base)
    for solver_name in SOLVERS[::-1]:
        found = rate(lambda: balanced(scores, solver_name), seconds)  # noqa: B023  # called at once
        report.add(f"{name}: balanced, {solver_name}", found, "matrices/s", base)


def main() -> None:
    report = Report(__doc__ or "")
    print(f"solver: {describe_solver(solver())}")
    seconds = 1.5 if report.quick else 8.0
    groups = ("permutation", "permutation+sign", "permutation+sign+phase")
    base = against_plain(report, "2-32-32-1", fitted("sine", PAIRS), groups, seconds)
    relu = fitted("relu", PAIRS).to(report.device)
    found = rate(lambda: batched(relu, "permutation+scale"), seconds, report.device)
    report.add("2-32-32-1 ReLU, permutation+scale", found, "pairs/s", base)
    against_plain(report, "2-128-128-128-3", initialised([128, 128, 128], 3, 64), groups[::2], seconds)
    for width in (32, 64, 128, 256):
        for near in (False, True):
            side_by_side(report, width, near, seconds / 4)
    report.finish()


if __name__ == "__main__":
    main()
