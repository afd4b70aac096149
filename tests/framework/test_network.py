from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from weightspace.activations import ACTIVATIONS
from weightspace.batch import WeightBatch
from weightspace.errors import SpecError
from weightspace.network import evaluate, hidden_outputs
from weightspace.spec import NetworkSpec


class Sine(nn.Module):
    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * x)


def module(spec: NetworkSpec) -> nn.Sequential:
    """The same network as a torch module."""
    layers: list[nn.Module] = []
    for i, o, omega in zip(spec.widths, spec.widths[1:], (*spec.omegas, 0.0), strict=False):
        activation = {"sine": Sine(omega), "relu": nn.ReLU(), "tanh": nn.Tanh()}[spec.activation]
        layers += [nn.Linear(i, o), activation]
    return nn.Sequential(*layers[:-1]).double()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(1, 3, 2), (2, 32, 32, 1), (3, 8, 7, 6, 5, 4)])
def test_agrees_with_torch_modules(activation: str, widths: tuple[int, ...]) -> None:
    omega = tuple(3.0 + layer for layer in range(len(widths) - 2)) if ACTIVATIONS[activation].has_frequency else 1.0
    spec = NetworkSpec(widths, activation, omega, 0.25)
    torch.manual_seed(0)
    modules = [module(spec) for _ in range(3)]
    batch = WeightBatch(torch.stack([spec.pack(m.state_dict()) for m in modules]), spec)
    x = torch.rand(11, spec.in_dim, dtype=torch.float64)
    expected = torch.stack([m(x) + 0.25 for m in modules])
    assert (evaluate(batch, x) - expected).abs().max() < 1e-12
    own = torch.stack([x + i for i in range(3)])
    expected = torch.stack([m(x + i) + 0.25 for i, m in enumerate(modules)])
    assert (evaluate(batch, own) - expected).abs().max() < 1e-12


def test_coordinates_of_another_dimension_are_refused(random_batch) -> None:
    with pytest.raises(SpecError, match=r"\(N, 2\)"):
        evaluate(random_batch(), torch.zeros(4, 3))


def test_points_of_other_networks_are_refused(random_batch) -> None:
    batch = random_batch()
    with pytest.raises(SpecError, match=f"points of each of {len(batch)} networks were expected, found those of 99"):
        evaluate(batch, torch.zeros(99, 4, 2))


def test_hidden_outputs_are_those_of_the_layers(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3), "tanh")
    x = torch.rand(7, 2, dtype=torch.float64)
    first, second = hidden_outputs(batch, x)
    assert torch.allclose(first[2], torch.tanh(x @ batch.weights[0][2].T + batch.biases[0][2]))
    assert torch.allclose(second[2], torch.tanh(first[2] @ batch.weights[1][2].T + batch.biases[1][2]))
    last = second @ batch.weights[2].transpose(1, 2) + batch.biases[2].unsqueeze(1) + batch.spec.output_offset
    assert torch.allclose(last, evaluate(batch, x))
