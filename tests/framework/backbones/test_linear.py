"""Linear layers by convolution: the same map and gradients as a product, and only where that is meant."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from weightspace.backbones import DWS
from weightspace.backbones.linear import IMAGES, ROWS, Linear, linear
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec

SHAPES = [(IMAGES, ROWS // IMAGES, 5), (2 * IMAGES, 8, 6, 5), (4, 16, 20, 5)]


def given(shape: tuple[int, ...], bias: bool = True) -> list[Tensor]:
    torch.manual_seed(0)
    tensors = [torch.randn(shape), torch.randn(7, shape[-1]), *([torch.randn(7)] if bias else [])]
    return [tensor.requires_grad_() for tensor in tensors]


def operations(result: Tensor) -> set[str]:
    """Names of all operations that led to a result."""
    found, queue = set(), [result.grad_fn]
    while queue:
        node = queue.pop()
        if node is not None:
            found.add(type(node).__name__)
            queue += [before for before, _ in node.next_functions]
    return found


def first_and_second(result: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """A result, gradients of its squares, and gradients of these gradients' squares."""
    first = torch.autograd.grad(result.square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [result, *first, *second]


@pytest.mark.parametrize("shape", SHAPES, ids=["neurons", "edges", "edges of few networks"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layout", ["dense", "sliced"])
def test_results_and_both_gradients_are_those_of_a_product(shape: tuple[int, ...], bias: bool, layout: str) -> None:
    x, *rest = given((*shape[:-1], 2 * shape[-1]) if layout == "sliced" else shape, bias)
    inputs = [
        x[..., : shape[-1]] if layout == "sliced" else x,
        *(w[:, : shape[-1]] if w.ndim == 2 else w for w in rest),
    ]
    result = linear(*inputs)
    assert "ConvolutionBackward0" in operations(result)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    expected = first_and_second(F.linear(*exact), exact)
    for own, other in zip(first_and_second(result, inputs), expected, strict=True):
        assert own.shape == other.shape
        assert (own - other).abs().max() < 1e-5 * other.abs().max()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_the_form_for_compiled_graphs_is_the_same_map(shape: tuple[int, ...], bias: bool) -> None:
    inputs = given(shape, bias)
    found = []
    for function in (torch.compile(linear, backend="aot_eager", dynamic=False), linear):
        result = function(*inputs)
        found.append([result, *torch.autograd.grad(result.square().sum(), inputs)])
    for own, other in zip(*found, strict=True):
        assert (own - other).abs().max() < 1e-5 * other.abs().max()


def test_all_else_stays_a_product() -> None:
    x, weight, bias = given(SHAPES[0])
    for few in (x[: IMAGES - 1], x[:, :-1], x[0], x.flatten(0, 1)):
        assert torch.equal(linear(few, weight, bias), F.linear(few, weight, bias))
    double = [tensor.double() for tensor in (x, weight, bias)]
    assert torch.equal(linear(*double), F.linear(*double))
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))


def test_a_layer_loads_weights_of_nn_linear_and_can_be_copied() -> None:
    plain, own = nn.Linear(5, 7), Linear(5, 7)
    own.load_state_dict(plain.state_dict())
    x = given(SHAPES[1])[0]
    assert (copy.deepcopy(own)(x) - plain(x)).abs().max() < 1e-5


def test_a_backbone_is_the_same_in_float32_and_float64() -> None:
    spec = NetworkSpec((2, 16, 16, 1), "sine", 30.0, 0.5)
    torch.manual_seed(0)
    model = DWS(spec, 3, hidden=4, layers=2, head=8)
    batch = WeightBatch(torch.randn(64, spec.num_params), spec)
    result = model(batch)
    assert "ConvolutionBackward0" in operations(result)
    result.square().sum().backward()
    exact = copy.deepcopy(model).double()
    exact.zero_grad()
    expected = exact(batch)
    expected.square().sum().backward()
    assert (result - expected).abs().max() < 1e-5 * expected.abs().max()
    for own, other in zip(model.parameters(), exact.parameters(), strict=True):
        assert own.grad is not None
        assert other.grad is not None
        assert (own.grad - other.grad).abs().max() < 1e-4 * other.grad.abs().max()


def test_a_really_compiled_dws_is_the_eager_one() -> None:
    # with torch's own compiler, which decides by itself how the tensors between the products lie in memory
    spec = NetworkSpec((2, 32, 32, 1), "sine", 30.0, 0.5)
    torch.manual_seed(0)
    model = DWS(spec, 4, hidden=8, layers=1)
    batch = WeightBatch(0.1 * torch.randn(64, spec.num_params), spec)
    found = []
    for compiled in (False, True):
        if compiled:
            model.compile(len(batch))
        result = model(batch)
        found.append([result, *torch.autograd.grad(result.square().sum(), list(model.parameters()))])
    for eager, own in zip(*found, strict=True):
        assert (eager - own).abs().max() <= 1e-4 * eager.abs().max()
