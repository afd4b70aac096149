from __future__ import annotations

import pytest
import torch
from weightspace.errors import SpecError
from weightspace.network import evaluate
from weightspace.symmetry import permute_neurons, scale_neurons, shift_phases, sign_neurons

WIDTHS = [(2, 5, 1), (3, 5, 4, 3, 2), (1, 3, 3, 3, 3, 1)]


def element(name: str, batch, generator: torch.Generator) -> tuple[list, list]:
    """A random group element and its inverse."""
    forward, inverse = [], []
    for width in batch.spec.widths[1:-1]:
        uniform = torch.rand(len(batch), width, generator=generator, dtype=torch.float64)
        if name == "permutation":
            forward.append(uniform.argsort(1))
            inverse.append(forward[-1].argsort(1))
        elif name == "sign":
            forward.append(1 - 2 * (uniform < 0.5).double())
            inverse.append(forward[-1])
        elif name == "phase":
            forward.append((7 * uniform).long() - 3)
            inverse.append(-forward[-1])
        else:
            forward.append(0.1 + 5 * uniform)
            inverse.append(1 / forward[-1])
    return forward, inverse


MOVES = {"permutation": permute_neurons, "sign": sign_neurons, "phase": shift_phases, "scale": scale_neurons}
VALID = [(a, n) for a in ("sine", "tanh", "relu") for n in MOVES]


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize(("activation", "name"), VALID)
def test_symmetries_keep_the_function_and_have_inverses(random_batch, widths, activation: str, name: str) -> None:
    batch = random_batch(widths, activation)
    forward, inverse = element(name, batch, torch.Generator().manual_seed(0))
    if name not in batch.spec.symmetries:
        with pytest.raises(SpecError, match=f"{name}.*not a symmetry of {activation}"):
            MOVES[name](batch, forward)
        return
    moved = MOVES[name](batch, forward)
    x = torch.rand(9, widths[0], dtype=torch.float64)
    assert (evaluate(moved, x) - evaluate(batch, x)).abs().max() < 1e-9
    assert (moved.params - batch.params).abs().max() > 0.1
    assert (MOVES[name](moved, inverse).params - batch.params).abs().max() < 1e-12


def test_elements_of_another_shape_are_refused(random_batch) -> None:
    with pytest.raises(SpecError, match="one element per hidden layer"):
        sign_neurons(random_batch(), [torch.ones(6, 5)])
