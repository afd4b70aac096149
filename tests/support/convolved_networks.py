"""Small networks with convolutions, as specs and as modules of torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from weightspace.batch import WeightBatch
from weightspace.layers import Convolution, Flattened
from weightspace.spec import NetworkSpec

#: Rows and columns of images.
SIZE = (9, 8)
SHAPES = {
    "averaged": ((2, 5, 4, 3), (Convolution(3, 2, 1), Convolution((2, 3), 1, (0, 1)), None)),
    "flattened": ((1, 4, 6, 3), (Convolution(3, (2, 1), 0), Flattened((4, 6)), None)),
    "one convolution": ((2, 4, 3), (Convolution(3, 1, 1), None)),
    "few biases": ((1, 4, 5, 3, 3), (Convolution(3, 2, 1), Convolution(3, 1, 1), Flattened((5, 4)), None)),
    "deep": ((1, 4, 4, 5, 3, 2), (Convolution(3, 2, 1), Convolution(3, 2, 1), Flattened((3, 2)), None, None)),
}
BIASES = {"few biases": (False, True, False, False)}


def spec_named(name: str, activation: str = "relu") -> NetworkSpec:
    """The networks of a shape; "several": hidden layers have tanh, ReLU, sine, tanh, ..., in turn."""
    widths, kernels = SHAPES[name]
    turns = [("tanh", "relu", "sine")[layer % 3] for layer in range(len(widths) - 2)]
    names = tuple(turns) if activation == "several" else (activation,) * len(turns)
    omega = tuple(2.0 if name == "sine" else 1.0 for name in names)
    return NetworkSpec(widths, names, omega, 0.5, kernels, BIASES.get(name, ()))


def convolved(name: str, activation: str = "relu", count: int = 6) -> WeightBatch:
    spec = spec_named(name, activation)
    params = torch.randn(count, spec.num_params, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(count) % 3
    return WeightBatch(0.5 * params, spec, targets, torch.arange(count), torch.zeros(count).long(), num_classes=3)


def some_images(spec: NetworkSpec, count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, spec.in_dim, *SIZE, dtype=torch.float64, generator=generator)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(2.0 * x)


def module_of(spec: NetworkSpec, params: Tensor) -> nn.Sequential:
    """The network with these parameters (P,), without the output offset."""
    layers: list[nn.Module] = []
    kernels, biases = spec.kernels or (None,) * spec.num_layers, spec.has_biases
    for layer, (before, after) in enumerate(zip(spec.widths, spec.widths[1:], strict=False)):
        kernel = kernels[layer]
        if isinstance(kernel, Convolution):
            layers.append(nn.Conv2d(before, after, kernel.size, kernel.stride, kernel.padding, bias=biases[layer]))
        else:
            if layer and isinstance(kernels[layer - 1], Convolution):
                layers.append(nn.Flatten() if isinstance(kernel, Flattened) else Mean())
            layers.append(nn.Linear(before * (1 if kernel is None else kernel.positions), after, bias=biases[layer]))
        if layer < spec.num_layers - 1:
            layers.append({"relu": nn.ReLU, "tanh": nn.Tanh, "sine": Sine}[spec.activations[layer]]())
    module = nn.Sequential(*layers).double()
    module.load_state_dict(spec.unpack(params, list(module.state_dict())))
    return module
