"""Alignment in pairs per second, against a plain one-pair-at-a-time matcher on the CPU; growth with the width."""

from __future__ import annotations

import torch
from common import Report, rate
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import load_source
from weightspace.symmetry import align
from weightspace.symmetry.matching import assign

PAIRS = 256


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


def plain_rate(batch: WeightBatch, seconds: float) -> float:
    pairs = [(([w[i] for w in batch.weights], [b[i] for b in batch.biases])) for i in range(min(len(batch), 32))]

    def work() -> int:
        for i, pair in enumerate(pairs):
            one_pair(pair, pairs[i - 1], sweeps=2)
        return len(pairs)

    return rate(work, seconds)


def batched_rate(batch: WeightBatch, group: str, seconds: float) -> float:
    other = batch.replace(params=batch.params.roll(1, 0))

    def work() -> int:
        align(batch, other, group).apply(other)
        return len(batch)

    return rate(work, seconds, batch.device)


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 2.0 if report.quick else 8.0
    small = fitted("sine", PAIRS)
    base = report.add("2-32-32-1, one pair at a time, permutation", plain_rate(small, seconds), "pairs/s")
    for group in ("permutation", "permutation+sign", "permutation+sign+phase"):
        report.add(f"2-32-32-1, {group}", batched_rate(small.to(report.device), group, seconds), "pairs/s", base)
    relu = fitted("relu", PAIRS).to(report.device)
    report.add("2-32-32-1 ReLU, permutation+scale", batched_rate(relu, "permutation+scale", seconds), "pairs/s", base)

    wide = initialised([128, 128, 128], 3, 64)
    base = report.add("2-128-128-128-3, one pair at a time, permutation", plain_rate(wide, seconds), "pairs/s")
    for group in ("permutation", "permutation+sign+phase"):
        report.add(f"2-128-128-128-3, {group}", batched_rate(wide.to(report.device), group, seconds), "pairs/s", base)

    for width in (32, 64, 128) if report.quick else (32, 64, 128, 256):
        batch = initialised([width, width], 1, max(8, 4096 // width)).to(report.device)
        scores = batch.weights[1] @ batch.weights[1].roll(1, 0).transpose(1, 2)

        def bare(scores: Tensor = scores) -> int:
            assign(scores)
            return len(scores)

        alone = report.add(f"width {width}: one assignment alone", rate(bare, seconds / 2, report.device), "matrices/s")
        whole = batched_rate(batch, "auto", seconds / 2)
        report.add(f"width {width}: alignment of 2 hidden layers, all symmetries", whole, "pairs/s", alone)
    report.finish()


if __name__ == "__main__":
    main()
