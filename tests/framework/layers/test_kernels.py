"""Networks with convolutions: their layout, and what they compute, as torch has it."""

from __future__ import annotations

import json

import pytest
import torch
from convolved_networks import SHAPES, SIZE, convolved, module_of, some_images, spec_named
from weightspace.batch import WeightBatch
from weightspace.errors import SpecError
from weightspace.layers import Convolution, Flattened
from weightspace.network import evaluate, hidden_outputs
from weightspace.spec import NetworkSpec

ACTIVATIONS = ["relu", "tanh", "sine", "several"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_networks_compute_what_their_modules_compute(name: str, activation: str) -> None:
    batch = convolved(name, activation)
    images = some_images(batch.spec)
    outputs = evaluate(batch, images)
    assert outputs.shape == (6, 4, batch.spec.out_dim)
    for params, found in zip(batch.params, outputs, strict=True):
        with torch.no_grad():
            expected = module_of(batch.spec, params)(images) + 0.5
        assert (found - expected).abs().max() < 1e-9


@pytest.mark.parametrize("name", SHAPES)
def test_each_network_can_have_images_of_its_own(name: str) -> None:
    batch = convolved(name, count=19)  # more than are computed together
    images = torch.stack([some_images(batch.spec, 3) * (1 + network) for network in range(19)])
    outputs = evaluate(batch, images)
    for network in range(19):
        assert (outputs[network] - evaluate(batch[network], images[network])[0]).abs().max() < 1e-9
    assert evaluate(batch[:0], images[0]).shape == (0, 3, batch.spec.out_dim)


@pytest.mark.parametrize("name", SHAPES)
def test_hidden_outputs_have_positions_as_points(name: str) -> None:
    batch = convolved(name)
    images = some_images(batch.spec)
    module = module_of(batch.spec, batch.params[0])
    found = [outputs[0] for outputs in hidden_outputs(batch, images)]
    h, expected = images, []
    for layer in module[:-1]:
        h = layer(h)
        if isinstance(layer, torch.nn.ReLU):
            expected.append(h.movedim(1, -1).reshape(-1, h.shape[1]))
    assert len(found) == len(expected) == len(batch.spec.widths) - 2
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() < 1e-9
    none = [outputs.shape for outputs in hidden_outputs(batch[:0], images)]
    assert none == [(0, *outputs.shape) for outputs in found]


@pytest.mark.parametrize("name", SHAPES)
def test_a_state_dict_comes_back(name: str) -> None:
    batch = convolved(name)
    state = module_of(batch.spec, batch.params[0]).state_dict()
    assert torch.equal(batch.spec.pack(state), batch.params[0])
    assert [tuple(t.shape) for t in state.values()] == batch.spec.layout.torch_shapes


@pytest.mark.parametrize("name", SHAPES)
def test_weights_are_views_with_positions_last(name: str) -> None:
    batch = convolved(name)
    for layer, kernel in enumerate(batch.spec.kernels):
        out, channels = batch.spec.widths[layer + 1], batch.spec.widths[layer]
        expected = (6, out, channels) if kernel is None else (6, out, channels, kernel.positions)
        assert tuple(batch.weights[layer].shape) == expected
        assert tuple(batch.kernels[layer].shape) == (6, out, channels, batch.spec.positions[layer])
        assert batch.kernels[layer].data_ptr() == batch.weights[layer].data_ptr()


def test_networks_without_kernels_are_as_they_were() -> None:
    spec = NetworkSpec((2, 4, 4, 1), "tanh")
    assert "kernels" not in spec.to_json()
    assert NetworkSpec((2, 4, 4, 1), "tanh", kernels=(None, None, None)) == spec
    assert spec.weight_shapes == ((4, 2), (4, 4), (1, 4))
    assert [tuple(k.shape) for k in WeightBatch(torch.zeros(1, spec.num_params), spec).kernels] == [
        (1, 4, 2, 1), (1, 4, 4, 1), (1, 1, 4, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_specs_are_read_from_what_they_write(name: str) -> None:
    spec = spec_named(name)
    assert NetworkSpec.from_json(json.dumps(spec.to_json())) == spec
    assert hash(NetworkSpec.from_json(spec.to_json())) == hash(spec)


def test_a_spec_in_words() -> None:
    assert str(spec_named("averaged")) == "2-5-4-3 relu, output +0.5, conv 3x3/2+1, conv 2x3+0x1"
    assert str(spec_named("flattened", "tanh")) == "1-4-6-3 tanh, output +0.5, conv 3x3/2x1, flat 4x6"


CONVOLUTION = Convolution(3)


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        ((CONVOLUTION, None), "one for each of 3 layers, found 2"),
        ((None, CONVOLUTION, None), "convolutions come first, .* found linear, conv 3x3, linear"),
        ((CONVOLUTION, CONVOLUTION, CONVOLUTION), "then linear layers, of which there is one at least"),
        ((CONVOLUTION, None, Flattened(2)), "convolutions come first"),
        ((Flattened(2), None, None), "convolutions come first"),
        ((CONVOLUTION, "flat", None), "a Convolution, a Flattened or None"),
        (7, "a Convolution, a Flattened or None"),
    ],
)
def test_chains_that_there_are_not(kernels: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        NetworkSpec((1, 2, 2, 2), "relu", kernels=kernels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": [{"kind": "pool"}, None]}, "convolution or flattened"),
        ({"kernels": [{"kind": "convolution"}, None]}, "not a kernel"),
        ({"kernels": [{"kind": "convolution", "size": [0, 3]}, None]}, "size"),
        ({"kernels": [{"kind": "convolution", "size": 3, "stride": 0}, None]}, "stride"),
        ({"kernels": [{"kind": "convolution", "size": 3, "padding": -1}, None]}, "padding"),
        ({"kernels": [{"kind": "convolution", "size": [3, 3, 3]}, None]}, "size"),
        ({"kernels": [{"kind": []}, None]}, "convolution or flattened"),
        ({"kernels": 3}, "not a network spec"),
    ],
)
def test_damaged_descriptions(change: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        NetworkSpec.from_json({"widths": [1, 2, 3], "activation": "relu", **change})


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("averaged", (4, 1, *SIZE), r"images must be \(N, 2, height, width\) or .* found \(4, 1, 9, 8\)"),
        ("averaged", (4, 2), "images must be"),
        ("averaged", (5, 4, 2, *SIZE), "images of each of 6 networks were expected, found those of 5"),
        ("averaged", (4, 2, 1, 1), "smaller than the kernel"),
        ("flattened", (4, 1, 11, 8), "flatten maps of 4 x 6, and images of 11 x 8 give 5 x 6"),
    ],
)
def test_images_that_networks_cannot_read(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        evaluate(convolved(name), torch.zeros(shape))
