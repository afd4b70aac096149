"""How far networks are from each other: by embedding, by weights once they are aligned, and by function."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.network import evaluate, grid, spread
from weightspace.progress import Report
from weightspace.spec import NetworkSpec
from weightspace.symmetry import align
from weightspace.symmetry.alignment import squared_distance

#: Points at which functions are compared: along each side of images, and of other networks in all.
SIDE, POINTS = 28, 1_024
#: Pairs of networks that are aligned between two reports of progress, and networks that are evaluated at a time.
PAIRS = 512


def by_embedding(queries: Tensor, others: Tensor) -> Tensor:
    """Cosine distances of embeddings.

    Args:
        queries, others: (q, D) and (n, D).

    Returns:
        (q, n) in [0, 2].
    """
    first, second = (torch.nn.functional.normalize(x.double(), dim=1) for x in (queries, others))
    return (1 - first @ second.mT).float()


def by_weights(queries: WeightBatch, others: WeightBatch, group: str = "auto", report: Report | None = None) -> Tensor:
    """Euclidean distances of parameters, of each pair once the second is aligned with the first.

    Args:
        queries, others: q and n networks of one architecture.
        group: symmetries that are removed, see ``align``.
        report: told how many of q * n pairs are done.

    Returns:
        (q, n); up to the descent of ``align``, which is no proof of the smallest distance.
    """
    rows = torch.arange(len(queries) * len(others))
    parts = []
    for pairs in rows.split(PAIRS):
        first, second = queries.select(pairs // len(others)), others.select(pairs % len(others))
        parts.append(squared_distance(first, align(first, second, group).apply(second)).sqrt())
        if report is not None:
            report(int(pairs[-1]) + 1, len(rows))
    return torch.cat(parts).view(len(queries), len(others))


def by_function(queries: WeightBatch, others: WeightBatch) -> Tensor:
    """Root mean square differences of what networks compute at the points of ``domain``.

    Args:
        queries, others: q and n networks with inputs in [-1, 1].

    Returns:
        (q, n) in units of the outputs.
    """
    first, second = outputs(queries), outputs(others)
    # by products, distances of networks that are nearly the same would be rounding errors
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist") / first.shape[1] ** 0.5


def outputs(batch: WeightBatch) -> Tensor:
    """(B, N * K) what networks compute at the N points of ``domain``."""
    points, rows = domain(batch.spec).to(batch.params), torch.arange(len(batch))
    return torch.cat([evaluate(batch.select(part), points).flatten(1) for part in rows.split(PAIRS)])


def domain(spec: NetworkSpec) -> Tensor:
    """(N, d) points in [-1, 1]: a grid of pixels for two inputs, otherwise a Sobol sequence, the same in every call."""
    return grid(SIDE, SIDE) if spec.coordinates == 2 else spread(spec.in_dim, POINTS, seed=0)
