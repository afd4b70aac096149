from __future__ import annotations

import math

import pytest
import torch
from weightspace.batch import WeightBatch
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GROUPS, GroupElement, canonical_element, canonicalise, resolve_group

CASES = [
    (activation, group)
    for activation in ("sine", "tanh", "relu")
    for group in GROUPS
    if set(group.split("+")) <= NetworkSpec((1, 1, 1), activation).symmetries
]


@pytest.mark.parametrize("widths", [(2, 5, 1), (3, 6, 4, 3, 2), (1, 3, 4, 3, 3, 1)])
@pytest.mark.parametrize(("activation", "group"), CASES)
def test_one_form_per_orbit(random_batch, widths, activation: str, group: str) -> None:
    batch = random_batch(widths, activation, count=50)
    form = canonicalise(batch, group)
    x = torch.rand(9, widths[0], dtype=torch.float64)
    assert (evaluate(form, x) - evaluate(batch, x)).abs().max() < 1e-9
    assert (canonicalise(form, group).params - form.params).abs().max() < 1e-12
    generator = torch.Generator().manual_seed(2)
    moved = GroupElement.random(batch, resolve_group(group, batch.spec), generator, max_phase=5).apply(batch)
    assert (canonicalise(moved, group).params - form.params).abs().max() < 1e-9
    assert torch.equal(canonical_element(batch, group).apply(batch).params, form.params)


@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_real_networks_in_float32(fitted, activation: str) -> None:
    batch = fitted((2, 32, 32, 1), activation).to(dtype=torch.float32)
    moved = GroupElement.random(batch, batch.spec.symmetries, torch.Generator().manual_seed(0)).apply(batch)
    assert (canonicalise(moved).params - canonicalise(batch).params).abs().max() < 1e-4


def test_rules(random_batch) -> None:
    form = canonicalise(random_batch((2, 5, 4, 1), "sine", omega=7.0))
    for layer in range(2):
        weights, bias = form.weights[layer], form.biases[layer]
        assert (weights.take_along_dim(weights.abs().argmax(2, keepdim=True), 2) > 0).all()
        assert (bias.abs() <= math.pi / 2 / form.spec.omegas[layer] + 1e-9).all()
        assert (weights[:, 1:, 0] >= weights[:, :-1, 0]).all()
    relu = canonicalise(random_batch((2, 5, 4, 1), "relu"))
    norms = torch.cat([relu.weights[0], relu.biases[0].unsqueeze(2)], 2).norm(dim=2)
    assert torch.allclose(norms, torch.ones_like(norms))


def network(rows: list[list[float]], activation: str, omega: float = 1.0) -> WeightBatch:
    """One hidden layer from rows (weights..., bias); every outgoing weight is its neuron's number plus one."""
    spec = NetworkSpec((len(rows[0]) - 1, len(rows), 1), activation, omega)
    table = torch.tensor(rows, dtype=torch.float64)
    outgoing = torch.arange(1.0, len(rows) + 1, dtype=torch.float64)
    return WeightBatch(torch.cat([table[:, :-1].flatten(), table[:, -1], outgoing, torch.zeros(1)])[None], spec)


def rows_of(batch: WeightBatch) -> list[list[float]]:
    table = torch.cat([batch.weights[0][0], batch.biases[0][0][:, None], batch.weights[1][0].T], dim=1)
    return [[round(value, 9) for value in row] for row in table.tolist()]


def test_ties_by_hand() -> None:
    # |1| and |-1| agree: the first entry decides; the second row has no weights: its bias decides
    form = canonicalise(network([[-1, 1 + 1e-9, 0.5], [0, 0, -0.25]], "tanh"))
    assert rows_of(form) == [[0, 0, 0.25, -2], [1, -1.000000001, -0.5, -1]]
    # agreement in the first weight within the tolerance: the second decides
    form = canonicalise(network([[1 + 1e-9, 3, 0], [1, 2, 0]], "tanh"))
    assert [row[3] for row in rows_of(form)] == [2, 1]
    # twins keep their mutual order
    assert [row[3] for row in rows_of(canonicalise(network([[1, 2, 0], [1, 2, 0]], "tanh")))] == [1, 2]
    # half a step below zero becomes half a step above; the outgoing weight changes its sign
    form = canonicalise(network([[1, 2, -math.pi / 2], [3, 1, math.pi / 2]], "sine"))
    assert rows_of(form) == [[1, 2, round(math.pi / 2, 9), -1], [3, 1, round(math.pi / 2, 9), 2]]
    # a zero neuron keeps its scale
    assert rows_of(canonicalise(network([[0, 0, 0], [3, 0, 4]], "relu"))) == [[0, 0, 0, 1], [0.6, 0, 0.8, 10]]
