"""Backbones that read networks of any hidden widths: what they share, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from weightspace.backbones import (
    DWS,
    GNN,
    MLP,
    Canonical,
    GraphTransformer,
    GridCNN,
    PhaseGNN,
    Probe,
    ScaleGNN,
    Statistics,
    load_backbone,
    save_backbone,
)  # fmt: skip
from weightspace.backbones.normaliser import Normaliser
from weightspace.batch import WeightBatch, unpack_layers
from weightspace.errors import SpecError
from weightspace.layers import Convolution
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GroupElement
from weightspace.zoo.architectures import alike, differences

SMALL = {"hidden": 6, "layers": 2, "head": 8}
FREE = [
    DWS.partial(**SMALL),
    DWS.partial(probes=5, **SMALL),
    DWS.partial(pool="attention", **SMALL),
    GNN.partial(probes=5, fourier=2, **SMALL),
    GraphTransformer.partial(node=8, edge=4, attention=8, heads=2, layers=2, head=8, probes=3),
    ScaleGNN.partial(probes=5, **SMALL),
    PhaseGNN.partial(probes=5, **SMALL),
    Probe.partial(probes=7, hidden=8),
    GridCNN.partial(side=6, width=8, stages=2),
    Statistics.partial(hidden=8),
]
WIDTHS = [(2, 5, 4, 3), (2, 9, 12, 3)]


@pytest.fixture(params=FREE, ids=repr)
def make(request):
    return request.param


@pytest.mark.parametrize("activation", ["sine", "relu"])
def test_invariances_hold_on_every_width(make, random_batch, activation: str) -> None:
    batches = [random_batch(widths, activation) for widths in WIDTHS]
    torch.manual_seed(0)
    model = make(batches[0].spec, 3).double().eval()
    assert type(model).free_widths
    model.fit_to_widths(batches)
    for batch in batches:
        symmetries = model.invariant_to & batch.spec.symmetries | {"permutation"}
        element = GroupElement.random(batch, symmetries, torch.Generator().manual_seed(0))
        assert (model(batch) - model(element.apply(batch))).abs().max() < 1e-9


def test_weights_do_not_depend_on_hidden_widths(make, random_batch) -> None:
    models = [make(random_batch(widths).spec, 3) for widths in WIDTHS]
    first, second = ({name: tuple(p.shape) for name, p in model.named_parameters()} for model in models)
    assert first == second


def test_networks_of_two_widths_that_compute_the_same_have_the_same_outputs_for_probes(random_batch) -> None:
    """A neuron more, without weights, changes nothing that a function is."""
    narrow = random_batch((2, 5, 4, 3))
    wide = replace(narrow.spec, widths=(2, 6, 4, 3))
    (w1, w2, w3), (b1, b2, b3) = unpack_layers(narrow.params, narrow.spec)
    w1, b1 = torch.cat([w1, 0 * w1[:, :1]], dim=1), torch.cat([b1, 0 * b1[:, :1]], dim=1)
    w2 = torch.cat([w2, 0 * w2[:, :, :1]], dim=2)
    params = torch.cat([part.flatten(1) for part in (w1, b1, w2, b2, w3, b3)], dim=1)
    for make in (Probe, GridCNN.partial(side=6, width=8, stages=2)):
        model = make(narrow.spec, 3).double().eval()
        model.fit_normaliser(narrow)
        assert (model(narrow) - model(WeightBatch(params, wide))).abs().max() < 1e-9


def test_the_normaliser_has_one_statistic_for_each_tensor_of_all_widths(random_batch) -> None:
    batches = [random_batch(widths, count=count) for widths, count in zip(WIDTHS, (20, 30), strict=True)]
    batches[1] = batches[1].replace(params=3 * batches[1].params + 1)
    model = DWS(batches[0].spec, 3, **SMALL).double()
    model.fit_to_widths(batches)
    for layer in range(3):
        for part in range(2):
            tensors = [unpack_layers(batch.params, batch.spec)[part][layer].flatten() for batch in batches]
            together = torch.cat(tensors)
            for batch in batches:
                scaled = unpack_layers(model.normaliser(batch.params, batch.spec), batch.spec)[part][layer]
                own = unpack_layers(batch.params, batch.spec)[part][layer]
                expected = (own - together.mean()) / together.std(correction=0)
                assert (scaled - expected).abs().max() < 1e-9


def test_one_architecture_has_the_statistics_and_the_file_that_it_always_had(random_batch) -> None:
    batch = random_batch(count=20)
    one, other = (DWS(batch.spec, 3, **SMALL).double() for _ in range(2))
    one.fit_normaliser(batch)
    other.fit_to_widths([batch])
    mean, std = torch.empty(batch.spec.num_params), torch.empty(batch.spec.num_params)
    for group in (*batch.spec.weight_slices, *batch.spec.bias_slices):
        part = batch.params[:, group]
        mean[group] = part.mean()
        std[group] = (part - part.mean()).square().mean().sqrt()
    for model in (one, other):
        state = model.normaliser.state_dict()
        assert state.keys() == {"mean", "std"}, "as in files of earlier versions"
        assert torch.equal(state["mean"].float(), mean)
        assert torch.equal(state["std"].float(), std)


def test_a_file_is_read_for_other_widths(make, random_batch, tmp_path) -> None:
    narrow, wide = (random_batch(widths).to(dtype=torch.float32) for widths in WIDTHS)
    torch.manual_seed(0)
    model = make(narrow.spec, 3).eval()
    model.fit_to_widths([narrow, wide])
    save_backbone(model, tmp_path / "encoder.safetensors")
    loaded = load_backbone(tmp_path / "encoder.safetensors")
    assert torch.equal(loaded(wide), model(wide))
    # built for the others, as a task builds it for its zoo
    again = make(wide.spec, 3).eval()
    again.load_state_dict(model.state_dict())
    assert again.spec == narrow.spec
    assert all(torch.equal(again(batch), model(batch)) for batch in (narrow, wide))


@pytest.mark.parametrize(
    "other",
    [
        NetworkSpec((3, 5, 4, 3), "sine", (7.0, 8.0), 0.5),
        NetworkSpec((2, 5, 4, 1), "sine", (7.0, 8.0), 0.5),
        NetworkSpec((2, 5, 3), "sine", 7.0, 0.5),
        NetworkSpec((2, 5, 4, 3), "sine", 9.0, 0.5),
        NetworkSpec((2, 5, 4, 3), "tanh", output_offset=0.5),
        NetworkSpec((2, 5, 4, 3), "sine", (7.0, 8.0)),
    ],
    ids=str,
)
def test_all_else_is_refused(make, random_batch, other: NetworkSpec) -> None:
    batch = random_batch()
    model = make(batch.spec, 3)
    with pytest.raises(SpecError, match="this backbone was built for 2-5-4-3 sine"):
        model(WeightBatch(torch.zeros(2, other.num_params), other))


@pytest.mark.parametrize(
    "make", [MLP.partial(hidden=4), Canonical.partial(backbone=DWS), DWS.partial(output="weights", hidden=4, layers=1)]
)
def test_backbones_of_one_width_refuse_another(make, random_batch) -> None:
    batch, other = random_batch(), random_batch((2, 5, 6, 3))
    model = make(batch.spec, batch.spec.num_params).double()
    assert not model.free_widths
    with pytest.raises(SpecError, match="this backbone was built for"):
        model(other)


def test_what_differs_is_named() -> None:
    tanh = NetworkSpec((2, 8, 1), "tanh")
    assert alike(tanh, NetworkSpec((2, 16, 1), "tanh"))
    assert differences(tanh, NetworkSpec((2, 16, 1), "tanh")) == []
    assert differences(tanh, NetworkSpec((2, 8, 8, 1), "tanh")) == ["2 and 3 layers"]
    assert differences(tanh, NetworkSpec((3, 8, 2), "sine", 3.0)) == [
        "inputs 2 and 3", "outputs 1 and 2", "activation tanh and sine",
    ]  # fmt: skip
    assert differences(NetworkSpec((2, 8, 1), "sine", 1.0), NetworkSpec((2, 8, 1), "sine", 3.0)) == ["omega 1 and 3"]
    cnn = NetworkSpec((1, 4, 8, 2), "relu", kernels=(Convolution(3), Convolution(3), None))
    assert alike(cnn, replace(cnn, widths=(1, 6, 7, 2)))
    assert differences(tanh, cnn) == ["fully connected and with convolutions"]
    (kernels,) = differences(cnn, replace(cnn, kernels=(Convolution(3), Convolution(5), None)))
    assert kernels.startswith("kernels conv 3x3/conv 3x3/")


def test_statistics_move_with_the_normaliser(random_batch) -> None:
    narrow, wide = (random_batch(widths) for widths in WIDTHS)
    normaliser = Normaliser.per_tensor(narrow.spec).double()
    normaliser.fit(narrow.params)
    before = normaliser(wide.params, wide.spec), normaliser(narrow.params)
    normaliser.move_to(wide.spec)
    assert torch.equal(normaliser(wide.params), before[0])
    assert torch.equal(normaliser(narrow.params, narrow.spec), before[1])
