"""The linear layer spans all equivariant maps; features and weights move with the neurons."""

from __future__ import annotations

import itertools

import pytest
import torch
from weightspace.backbones import DWS
from weightspace.backbones.dws import EquivariantLinear
from weightspace.backbones.features import Widths, features, flat
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec
from weightspace.symmetry import permute_neurons

SPECS = [(2, 4, 1), (2, 5, 4, 1), (3, 4, 6, 5, 2), (1, 3, 4, 3, 4, 3)]


def orders(batch: WeightBatch, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(len(batch), w, generator=generator).argsort(1) for w in batch.spec.widths[1:-1]]


@pytest.mark.parametrize("widths", SPECS)
def test_features_have_an_inverse(random_batch, widths) -> None:
    batch = random_batch(widths)
    assert torch.equal(flat(features(batch.params, batch.spec), batch.spec), batch.params)


@pytest.mark.parametrize("widths", SPECS)
def test_layers_are_equivariant(random_batch, widths) -> None:
    batch = random_batch(widths)
    model = DWS(batch.spec, 1, hidden=3, layers=2).double()
    order = orders(batch)
    plain, moved = model.equivariant(batch.params), model.equivariant(permute_neurons(batch, order).params)
    for layer, own in enumerate(order):
        assert (plain.nodes[layer].take_along_dim(own[:, :, None], 1) - moved.nodes[layer]).abs().max() < 1e-9
    for layer, edge in enumerate(plain.edges):
        rows = edge.take_along_dim(order[layer + 1][:, :, None, None], 1)
        both = rows.take_along_dim(order[layer][:, None, :, None], 2)
        assert (both - moved.edges[layer]).abs().max() < 1e-9
    assert (plain.outer - moved.outer).abs().max() < 1e-9


@pytest.mark.parametrize("widths", SPECS)
@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_weights_in_weights_out(random_batch, widths, pool: str) -> None:
    batch = random_batch(widths)
    model = DWS(batch.spec, batch.spec.num_params, hidden=3, layers=2, pool=pool, output="weights").double()
    model.fit_normaliser(batch)
    assert model.equivariant_to == {"permutation"}
    assert model.invariant_to == frozenset()
    order = orders(batch)
    edited = batch.replace(params=model(batch))
    moved = model(permute_neurons(batch, order))
    assert (permute_neurons(edited, order).params - moved).abs().max() < 1e-9
    assert edited.params.std(0).min() > 0, "every parameter depends on the network"
    edited.params.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@pytest.mark.parametrize("widths", [(2, 3, 1), (1, 3, 2, 1), (2, 2, 3, 2), (1, 2, 3, 2, 1)])
def test_the_linear_layer_spans_all_equivariant_maps(widths: tuple[int, ...]) -> None:
    """Compares with the space that averaging over the whole group leaves, in float64."""
    spec = NetworkSpec(widths, "tanh")
    size = spec.num_params
    identity = WeightBatch(torch.eye(size, dtype=torch.float64), spec)
    projector = torch.zeros(size * size, size * size, dtype=torch.float64)
    group = list(itertools.product(*(itertools.permutations(range(w)) for w in widths[1:-1])))
    for element in group:
        order = [torch.tensor(o).expand(size, -1) for o in element]
        matrix = permute_neurons(identity, order).params  # row i: the image of basis vector i
        projector += torch.kron(matrix, matrix) / len(group)
    dimension = int(torch.linalg.matrix_rank(projector))

    linear = EquivariantLinear(Widths.of(spec, 1), Widths.of(spec, 1), "mean").double()
    parameters = dict(linear.named_parameters())
    maps = []
    for name, tensor in parameters.items():
        if name == "whole.bias":
            continue
        for index in range(tensor.numel()):
            values = {k: torch.zeros_like(v) for k, v in parameters.items()}
            values[name].view(-1)[index] = 1
            y = torch.func.functional_call(linear, values, (features(identity.params, spec),))
            maps.append(flat(y, spec).flatten())
    spanned = torch.stack(maps)
    assert int(torch.linalg.matrix_rank(spanned)) == dimension == len(maps), "the full space, without redundancy"
    assert (spanned @ projector - spanned).abs().max() < 1e-9, "every map is equivariant"
