from __future__ import annotations

import itertools

import pytest
import torch
from weightspace.backbones import DWS, MLP
from weightspace.backbones.base import Normaliser
from weightspace.backbones.dws import EquivariantLinear, Features, Widths, features
from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError, SpecError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import permute_neurons

SPECS = [(2, 4, 1), (2, 5, 4, 1), (3, 4, 6, 5, 2), (1, 3, 4, 3, 4, 3)]


def orders(batch: WeightBatch, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(len(batch), w, generator=generator).argsort(1) for w in batch.spec.widths[1:-1]]


@pytest.mark.parametrize("widths", SPECS)
@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize("norm", ["layer", "none"])
@pytest.mark.parametrize("gate", [True, False])
def test_dws_is_invariant_to_permutations(random_batch, widths, pool: str, norm: str, gate: bool) -> None:
    batch = random_batch(widths)
    torch.manual_seed(0)
    model = DWS(batch.spec, 7, hidden=5, layers=2, pool=pool, norm=norm, gate=gate, residual=gate).double()
    model.fit_normaliser(batch)
    output = model(batch)
    assert output.shape == (6, 7)
    assert (model(permute_neurons(batch, orders(batch))) - output).abs().max() < 1e-9
    assert output.std(0).min() > 1e-6, "the networks must be told apart"


@pytest.mark.parametrize("widths", SPECS)
def test_dws_layers_are_equivariant(random_batch, widths) -> None:
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


def test_the_mlp_is_not_invariant(random_batch) -> None:
    batch = random_batch()
    model = MLP(batch.spec, 7).double()
    model.fit_normaliser(batch)
    assert MLP.invariant_to == frozenset()
    assert (model(permute_neurons(batch, orders(batch))) - model(batch)).abs().max() > 1e-3


def flat(x: Features, spec: NetworkSpec) -> torch.Tensor:
    """Features of one channel back in the order of the flat vector."""
    layers = len(x.nodes)
    inner = [edge.squeeze(3) for edge in x.edges]
    first = x.nodes[0][:, :, 1 : 1 + spec.in_dim]
    last = x.nodes[-1][:, :, -spec.out_dim :].transpose(1, 2)
    weights = [first, *inner, last]
    biases = [node[:, :, 0] for node in x.nodes] + [x.outer]
    parts = [part.flatten(1) for pair in zip(weights, biases, strict=True) for part in pair]
    assert layers == spec.num_layers - 1
    return torch.cat(parts, dim=1)


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
            x = features(identity.params, spec)
            y = torch.func.functional_call(linear, values, (x,))
            maps.append(flat(y, spec).flatten())
    spanned = torch.stack(maps)
    assert int(torch.linalg.matrix_rank(spanned)) == dimension == len(maps), "the full space, without redundancy"
    assert (spanned @ projector - spanned).abs().max() < 1e-9, "every map is equivariant"


def test_every_parameter_learns(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3, 1))
    for cls in (DWS, MLP):
        model = cls(batch.spec, 3).double()
        model(batch).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_the_normaliser_uses_training_statistics_and_is_saved(random_batch) -> None:
    batch = random_batch(count=50)
    whole, each = Normaliser(batch.spec, "tensor").double(), Normaliser(batch.spec, "parameter").double()
    whole.fit(batch)
    each.fit(batch)
    scaled = batch.replace(params=whole(batch.params))
    for tensor in (*scaled.weights, *scaled.biases):
        assert float(tensor.mean()) == pytest.approx(0, abs=1e-9)
        assert float(tensor.std(correction=0)) == pytest.approx(1)
    assert each(batch.params).mean(0).abs().max() < 1e-9
    other = Normaliser(batch.spec, "tensor").double()
    other.load_state_dict(whole.state_dict())
    assert torch.equal(other(batch.params), scaled.params)
    constant = batch.replace(params=torch.ones_like(batch.params))
    each.fit(constant)
    assert each(constant.params).isfinite().all()


def test_another_architecture_is_refused(random_batch) -> None:
    model = DWS(random_batch((2, 5, 4, 1)).spec, 3).double()
    with pytest.raises(SpecError, match=r"built for 2-5-4-1 sine.*the batch holds 2-5-5-1 sine"):
        model(random_batch((2, 5, 5, 1)))


@pytest.mark.parametrize("arguments", [{"pool": "sum"}, {"norm": "batch"}, {"layers": 0}])
def test_bad_arguments_say_why(random_batch, arguments: dict) -> None:
    with pytest.raises(ConfigError, match=f"DWS: {next(iter(arguments))}"):
        DWS(random_batch().spec, 3, **arguments)


def test_predictions_do_not_depend_on_the_rest_of_the_batch(random_batch) -> None:
    batch = random_batch()
    model = DWS(batch.spec, 3).double()
    one = batch.replace(params=batch.params[2:3], targets=None, objects=None, views=None)
    assert torch.allclose(model(batch)[2], model(one)[0], atol=1e-12)


@pytest.mark.long
def test_compiled_gives_the_same_numbers(random_batch) -> None:
    batch = random_batch((2, 8, 8, 1)).to(dtype=torch.float32)
    model = DWS(batch.spec, 3)
    plain = model(batch)
    model.compile()
    assert torch.allclose(model(batch), plain, atol=1e-5)
