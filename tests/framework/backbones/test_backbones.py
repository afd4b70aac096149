"""What every backbone must do: its contract, invariance over random networks, learning, and numerics."""

from __future__ import annotations

from dataclasses import replace

import pytest
import safetensors.torch
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from weightspace.activations import ACTIVATIONS
from weightspace.backbones import DWS, GNN, MLP, Canonical, GraphTransformer, GridCNN, PhaseGNN, Probe, ScaleGNN
from weightspace.backbones.normaliser import Normaliser
from weightspace.batch import WeightBatch, pack_layers
from weightspace.errors import ConfigError, SpecError
from weightspace.fitting.recipes import load_recipe
from weightspace.network import evaluate
from weightspace.sources import load_source
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GroupElement
from weightspace.testing import parametrize_checks


def variant(cls, **arguments):
    def make(spec, out_dim):
        return cls(spec, out_dim, **arguments)

    make.__name__ = "-".join([cls.__name__, *(f"{k}={getattr(v, '__name__', v)}" for k, v in arguments.items())])
    return make


SMALL = {"hidden": 6, "layers": 2, "head": 8}
TRANSFORMER = {"node": 8, "edge": 4, "attention": 8, "heads": 2, "layers": 2, "head": 8}
VARIANTS = [
    variant(DWS, **SMALL),
    variant(DWS, pool="max", norm="none", residual=False, **SMALL),
    variant(DWS, pool="attention", gate=False, **SMALL),
    variant(DWS, probes=5, **SMALL),
    variant(DWS, output="weights", hidden=4, layers=2),
    variant(DWS, output="weights", probes=5, hidden=4, layers=2),
    variant(GNN, **SMALL),
    variant(GNN, probes=5, fourier=3, chunk=16, recompute=True, **SMALL),
    variant(GNN, output="weights", probes=5, **SMALL),
    variant(GraphTransformer, **TRANSFORMER),
    variant(GraphTransformer, output="weights", **TRANSFORMER),
    variant(GraphTransformer, probes=5, fourier=3, chunk=16, recompute=True, **TRANSFORMER),
    variant(ScaleGNN, **SMALL),
    variant(ScaleGNN, probes=5, **SMALL),
    variant(ScaleGNN, output="weights", **SMALL),
    variant(ScaleGNN, output="weights", probes=5, **SMALL),
    variant(PhaseGNN, probes=5, **SMALL),
    variant(Probe, probes=7, hidden=8),
    variant(GridCNN, side=6, width=8, stages=2),
    variant(MLP, hidden=8),
    variant(Canonical, backbone=MLP),
    variant(Canonical, backbone=variant(DWS, **SMALL), group="permutation"),
]


def names(value) -> str:
    return getattr(value, "__name__", str(value))


VECTORS = [make for make in VARIANTS if "output=weights" not in names(make)]
WEIGHTS = [make for make in VARIANTS if make not in VECTORS]


@parametrize_checks(*VARIANTS)
def test_contract(check) -> None:
    check()


@st.composite
def networks(draw) -> WeightBatch:
    """Networks of a random architecture: two to five layers, any activation, any widths up to six, any frequencies."""
    widths = tuple(draw(st.lists(st.integers(1, 6), min_size=3, max_size=6)))
    activation = draw(st.sampled_from(sorted(ACTIVATIONS)))
    omegas = st.sampled_from([1.0, 5.0, 30.0]) if activation == "sine" else st.just(1.0)
    omega = tuple(draw(omegas) for _ in widths[1:-1])
    spec = NetworkSpec(widths, activation, omega, draw(st.sampled_from([0.0, 0.5])))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    params = torch.randn(3, spec.num_params, dtype=torch.float64, generator=generator)
    return WeightBatch(draw(st.sampled_from([0.1, 1.0])) * params, spec)


def element(batch: WeightBatch, symmetry: str, seed: int) -> GroupElement:
    generator = torch.Generator().manual_seed(seed)
    drawn = GroupElement.random(batch, {"permutation", symmetry}, generator)
    return drawn if symmetry == "permutation" else replace(drawn, orders=GroupElement.identity(batch).orders)


@pytest.mark.parametrize("make", VECTORS, ids=names)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(batch=networks(), seed=st.integers(0, 1000))
def test_invariance_over_random_networks(make, batch: WeightBatch, seed: int) -> None:
    assume(batch.spec.in_dim <= 3 or "GridCNN" not in names(make))
    torch.manual_seed(seed)
    model = make(batch.spec, 3).double().eval()
    model.fit_normaliser(batch)
    claimed = sorted(model.invariant_to & batch.spec.symmetries)
    result = model(batch).detach()
    for symmetry in claimed:
        moved = model(element(batch, symmetry, seed).apply(batch)).detach()
        assert (moved - result).abs().max() < 1e-9, symmetry


@pytest.mark.parametrize("make", WEIGHTS, ids=names)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(batch=networks(), seed=st.integers(0, 1000))
def test_equivariance_over_random_networks(make, batch: WeightBatch, seed: int) -> None:
    torch.manual_seed(seed)
    model = make(batch.spec, batch.spec.num_params).double().eval()
    model.fit_normaliser(batch)
    edited = batch.replace(params=model(batch).detach())
    for symmetry in sorted(model.equivariant_to & batch.spec.symmetries):
        moved = element(batch, symmetry, seed)
        worst = (moved.apply(edited).params - model(moved.apply(batch)).detach()).abs().max()
        assert worst < 1e-9 * max(1, edited.params.abs().max()), symmetry


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("make", VECTORS, ids=names)
def test_what_is_not_claimed_does_not_hold(random_batch, make, activation: str) -> None:
    batch = random_batch((2, 5, 4, 1), activation)
    torch.manual_seed(0)
    model = make(batch.spec, 3).double().eval()
    model.fit_normaliser(batch)
    result = model(batch).detach()
    for symmetry in batch.spec.symmetries - model.invariant_to:
        moved = model(element(batch, symmetry, 0).apply(batch)).detach()
        assert (moved - result).abs().max() > 1e-6, f"it is invariant to {symmetry}, and could say so"


def train(model, batch: WeightBatch, targets: torch.Tensor, steps: int, rate: float, loss) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(model(batch), targets).backward()
        optimiser.step()
        schedule.step()


@pytest.fixture(scope="module")
def brightness(fit_values) -> tuple[WeightBatch, torch.Tensor]:
    """300 networks fitted to digits of different brightness, and the mean value of each, standardised."""
    source, recipe, count = load_source("digits"), load_recipe("siren", {"hidden": [8, 8], "steps": 100}), 300
    x = source.coordinates()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    values = source.values(torch.arange(count)) * torch.linspace(0.1, 1, count)[order][:, None, None]
    batch = fit_values(recipe, x, values)
    means = evaluate(batch, x).mean((1, 2))
    return batch, (means - means.mean()) / means.std()


OVERFITTING = [
    variant(DWS, **SMALL),
    variant(GNN, hidden=12, layers=2),
    variant(GraphTransformer, **TRANSFORMER),
    variant(ScaleGNN, **SMALL),
    variant(Probe, probes=64, hidden=64),
    variant(GridCNN, side=8, width=8, stages=2),
    variant(MLP),
    variant(Canonical, backbone=MLP),
]


@pytest.mark.parametrize("make", OVERFITTING, ids=names)
def test_it_overfits_64_networks(brightness, make) -> None:
    batch = brightness[0].select(torch.arange(64))
    labels = torch.randint(4, (64,), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = make(batch.spec, 4)
    model.fit_normaliser(batch)
    train(model, batch, labels, 120, 1e-2, F.cross_entropy)
    assert (model(batch).argmax(1) == labels).float().mean() == 1


ERRORS = [  # root mean square on other networks, in standard deviations of the mean value; 1 is a guess
    (variant(DWS, hidden=8, layers=2), 0.6),
    (variant(GNN, hidden=8, layers=2), 0.6),
    (variant(GNN, hidden=8, layers=2, probes=16), 0.5),
    pytest.param(variant(GraphTransformer, **TRANSFORMER), 0.6, marks=pytest.mark.long),
    (variant(ScaleGNN, hidden=8, layers=2, probes=16), 0.6),
    (variant(PhaseGNN, hidden=8, layers=2, probes=16), 0.6),
    (variant(Probe, probes=16, hidden=32), 0.5),
    (variant(GridCNN, side=8, width=8, stages=2), 0.5),
    (variant(Canonical, backbone=variant(DWS, hidden=8, layers=2)), 0.6),
]


@pytest.mark.parametrize(("make", "error"), ERRORS, ids=names)
def test_it_learns_the_mean_value_of_fitted_networks(brightness, make, error: float) -> None:
    batch, means = brightness
    known, new = torch.arange(240), torch.arange(240, 300)
    assert error_on_new(make, batch, means, known, new) < error


def test_an_mlp_does_not_learn_the_mean_value(brightness) -> None:
    batch, means = brightness
    assert error_on_new(MLP, batch, means, torch.arange(240), torch.arange(240, 300)) > 0.9


def error_on_new(make, batch: WeightBatch, goals: torch.Tensor, known: torch.Tensor, new: torch.Tensor) -> float:
    torch.manual_seed(0)
    model = make(batch.spec, 1)
    model.fit_normaliser(batch.select(known))
    train(model, batch.select(known), goals[known], 60, 1e-2, lambda y, t: F.mse_loss(y[:, 0], t))
    return float((model.eval()(batch.select(new))[:, 0] - goals[new]).detach().square().mean().sqrt())


@pytest.mark.parametrize("make", VECTORS, ids=names)
def test_bfloat16_autocast_is_close_to_float32(random_batch, make) -> None:
    batch = random_batch((2, 8, 8, 1), omega=30.0, count=16).to(dtype=torch.float32)
    torch.manual_seed(0)
    model = make(batch.spec, 3).eval()
    model.fit_normaliser(batch)
    with torch.no_grad():
        exact = model(batch)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(batch)
    # bfloat16 has 8 bits: 0.4% in each of a handful of layers
    assert (rounded.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("make", VECTORS, ids=names)
def test_layers_of_bfloat16_compute_in_it(random_batch, make) -> None:
    batch = random_batch((2, 8, 8, 1), count=16).to(dtype=torch.float32)
    torch.manual_seed(0)
    model = make(batch.spec, 3)
    model.fit_normaliser(batch)
    model = model.to(torch.bfloat16)
    result = model(batch.to(dtype=torch.bfloat16))
    result.float().square().sum().backward()
    assert (result.dtype, result.shape) == (torch.bfloat16, (16, 3))
    assert result.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("make", VECTORS, ids=names)
def test_no_networks_give_no_results(random_batch, make) -> None:
    batch = random_batch((2, 8, 8, 1))
    assert make(batch.spec, 3).double().eval()(batch[:0]).shape == (0, 3)


@pytest.mark.parametrize("make", VECTORS, ids=names)
def test_float32_is_close_to_float64(random_batch, make) -> None:
    batch = random_batch((2, 8, 8, 1), count=16)
    torch.manual_seed(0)
    model = make(batch.spec, 3).double().eval()
    model.fit_normaliser(batch)
    exact = model(batch)
    rounded = model.float()(batch)
    assert (rounded.double() - exact).abs().max() < 1e-4 * exact.abs().max()


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "make", [m for m in VECTORS if "norm=none" not in names(m) and "probes=5" not in names(m)], ids=names
)
def test_compiled_gives_the_same_numbers(random_batch, make) -> None:
    batch = random_batch((2, 8, 8, 1), count=16).to(dtype=torch.float32)
    torch.manual_seed(0)
    model = make(batch.spec, 3)
    model.fit_normaliser(batch)
    results = []
    for compiled in (False, True):
        if compiled:
            model.compile()
        model.zero_grad()
        output = model(batch)
        output.square().sum().backward()
        results.append((output.detach(), [p.grad.clone() for p in model.parameters()]))
    (plain, plain_gradients), (fast, gradients) = results
    assert (fast - plain).abs().max() < 1e-5
    for a, b in zip(plain_gradients, gradients, strict=True):
        assert (a - b).abs().max() < 1e-4 * max(1.0, float(a.abs().max()))


def test_a_compiled_backbone_saves_the_same_keys(random_batch) -> None:
    model = DWS(random_batch().spec, 3)
    before = list(model.state_dict())
    model.compile()
    assert list(model.state_dict()) == before


def test_chunks_and_recomputation_change_no_number(random_batch) -> None:
    batch = random_batch((2, 5, 4, 1))
    for cls, sizes in ((GNN, SMALL), (GraphTransformer, TRANSFORMER)):
        results = []
        for chunk, recompute in ((0, False), (4, False), (0, True), (4, True)):
            torch.manual_seed(0)
            model = cls(batch.spec, 3, probes=4, chunk=chunk, recompute=recompute, **sizes).double()
            output = model(batch)
            output.square().sum().backward()
            results.append([output, *(p.grad for p in model.parameters())])
        for other in results[1:]:
            assert all((a - b).abs().max() < 1e-9 for a, b in zip(results[0], other, strict=True))


def test_the_normaliser_uses_training_statistics_and_is_saved(random_batch) -> None:
    batch = random_batch(count=50)
    whole, each = Normaliser.per_tensor(batch.spec).double(), Normaliser(batch.spec.num_params).double()
    whole.fit(batch.params)
    each.fit(batch.params)
    scaled = batch.replace(params=whole(batch.params))
    for tensor in (*scaled.weights, *scaled.biases):
        assert float(tensor.mean()) == pytest.approx(0, abs=1e-9)
        assert float(tensor.std(correction=0)) == pytest.approx(1)
    assert each(batch.params).mean(0).abs().max() < 1e-9
    other = Normaliser.per_tensor(batch.spec).double()
    other.load_state_dict(whole.state_dict())
    assert torch.equal(other(batch.params), scaled.params)
    constant = torch.full((1800, batch.spec.num_params), 0.1)
    single = Normaliser(batch.spec.num_params)
    single.fit(constant)
    assert (single(constant + 0.001) < 0.01).all(), "what differs by rounding alone is constant"
    with pytest.raises(ConfigError, match="at least one training network"):
        single.fit(constant[:0])
    signed = Normaliser.per_tensor(batch.spec, center=False).double()
    signed.fit(batch.params)
    assert torch.equal(signed(-batch.params), -signed(batch.params))
    for tensor in (batch.replace(params=signed(batch.params))).weights:
        assert float(tensor.square().mean()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (DWS, {"layers": 0}, "DWS: layers must be at least 1, found 0"),
        (DWS, {"pool": "sum"}, "pool must be one of mean, max, attention, found 'sum'"),
        (DWS, {"norm": "batch"}, "DWS: norm must be layer or none, found 'batch'"),
        (DWS, {"output": "graph"}, "DWS: output must be vector or weights, found 'graph'"),
        (DWS, {"output": "weights"}, "output 'weights' of networks 2-5-4-3 .* has 54 numbers, found out_dim 3"),
        (GNN, {"hidden": 1}, "GNN: hidden must be at least 2, found 1"),
        (GNN, {"probes": -1}, "GNN: probes must be at least 0, found -1"),
        (GNN, {"chunk": -1}, "GNN: chunk must be at least 0, found -1"),
        (GraphTransformer, {"heads": 3}, "attention must be a multiple of heads, found 128 and 3"),
        (ScaleGNN, {"dropout": 1.0}, r"ScaleGNN: dropout must be in \[0, 1\), found 1.0"),
        (GNN, {"pool_dropout": -0.1}, r"GNN: pool_dropout must be in \[0, 1\), found -0.1"),
        (Probe, {"probes": 0}, "Probe: probes must be at least 1, found 0"),
        (Probe, {"latent": 0}, "Probe: latent must be at least 1, found 0"),
        (GridCNN, {"side": 3}, "GridCNN: side 3 cannot be halved 2 times: take fewer stages"),
        (GridCNN, {"width": 12}, "GridCNN: width must be a multiple of 8, found 12"),
        (MLP, {"hidden": 1}, "MLP: hidden must be at least 2, found 1"),
    ],
)
def test_bad_arguments_say_why(random_batch, cls, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(random_batch().spec, 3, **arguments)


@pytest.mark.parametrize(
    "make",
    [variant(cls) for cls in (GNN, GraphTransformer, ScaleGNN, PhaseGNN, Probe, GridCNN)],
    ids=names,
)
def test_a_network_of_large_weights_does_no_harm(random_batch, make) -> None:
    batch = random_batch((2, 8, 8, 1), count=16).to(dtype=torch.float32)
    torch.manual_seed(0)
    model = make(batch.spec, 3)
    model.fit_normaliser(batch)
    scale = torch.ones(16, 1)
    scale[3] = 100
    output = model(batch.replace(params=scale * batch.params))
    output.square().mean().backward()
    assert output.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("probes", [0, 4])
def test_scales_of_relu_neurons_without_weights_do_not_count(random_batch, probes: int) -> None:
    batch = random_batch((2, 4, 3, 1), "relu")
    weight, bias = batch.weights[0].clone(), batch.biases[0].clone()
    weight[:, 1], bias[:, 1] = 0, 0
    batch = batch.replace(params=pack_layers([weight, *batch.weights[1:]], [bias, *batch.biases[1:]]))
    model = ScaleGNN(batch.spec, 3, probes=probes).double()
    params = batch.params.clone().requires_grad_()
    result = model(batch.replace(params=params))
    assert (model(element(batch, "scale", 0).apply(batch)) - result).abs().max() < 1e-9
    result.sum().backward()
    assert params.grad.isfinite().all()


@pytest.mark.parametrize("cls", [GNN, ScaleGNN, Probe])
def test_probes_of_many_inputs(random_batch, cls) -> None:
    batch = random_batch((40, 5, 1), "relu")
    assert cls(batch.spec, 3, probes=4).double()(batch).shape == (6, 3)


def test_canonical_claims_only_what_follows(random_batch) -> None:
    class Squares(MLP):
        invariant_to = frozenset({"sign"})

    spec = random_batch((2, 5, 4, 1)).spec
    assert Canonical(spec, 3, Squares, group="permutation").invariant_to == {"permutation"}
    assert Canonical(spec, 3, ScaleGNN, group="permutation").invariant_to >= {"permutation", "sign"}
    with pytest.raises(ConfigError, match="backbone: expected a Backbone, found Linear"):
        Canonical(spec, 3, lambda spec, out_dim: torch.nn.Linear(2, 2))


def test_weights_can_be_kept_in_safetensors(random_batch) -> None:
    batch = random_batch()
    model, other = Probe(batch.spec, 3).double(), Probe(batch.spec, 3).double()
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(model.state_dict())))
    assert torch.equal(model(batch), other(batch))


def test_canonical_refuses_a_group_that_the_activation_does_not_have(random_batch) -> None:
    with pytest.raises(SpecError, match="phase is no symmetry of networks 2-5-4-3 tanh"):
        Canonical(random_batch(activation="tanh").spec, 3, MLP, group="permutation+sign+phase")
