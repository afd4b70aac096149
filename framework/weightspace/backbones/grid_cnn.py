"""A convolutional network on what the networks draw: the yardstick for all that read weights.

A network that maps coordinates to values is an image, a volume or a signal once it is evaluated on a grid. What this
reads of it is its function alone, so that it is exactly invariant to all symmetries, whatever the activation; what it
knows beyond that is that neighbouring points belong together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.perceptron import perceptron
from weightspace.batch import WeightBatch
from weightspace.checks import check_rates, check_sizes
from weightspace.errors import ConfigError
from weightspace.network import layer_outputs
from weightspace.spec import NetworkSpec

#: Outputs of the widest layer that are computed at a time for the normaliser: 64 megabytes of float32.
NUMBERS = 2**24
#: Channels that a group norm takes together.
_GROUP = 8
#: Convolution and pooling by the number of inputs of the networks.
_BY_INPUTS: dict[int, tuple[type[nn.Module], type[nn.Module]]] = {
    1: (nn.Conv1d, nn.MaxPool1d),
    2: (nn.Conv2d, nn.MaxPool2d),
    3: (nn.Conv3d, nn.MaxPool3d),
}


class GridCNN(Backbone):
    """Evaluates the networks on a grid over [-1, 1] in each input, ends included, and reads the values by convolutions.

    Each stage has two convolutions of three points a side, with group norms and SiLU, and all but the last halve the
    grid afterwards; channels double from stage to stage. A perceptron reads mean and maximum of the last one.

    Args:
        spec: architecture of the networks, which have one to three inputs.
        out_dim: length of the result.
        side: points of the grid in each direction, >= 2 ** (stages - 1). An image's own side shows its own pixels.
        width: channels of the first stage, a multiple of 8.
        stages: number of stages, >= 1.
        dropout: in [0, 1), of the channels that the perceptron reads, and of its hidden layer.

    Raises:
        ConfigError: a value out of range, or networks of more inputs, for which there are no convolutions.
    """

    invariant_to = frozenset({"permutation", "sign", "phase", "scale"})
    free_widths = True
    constant_buffers = frozenset({"points"})

    points: Tensor

    def __init__(
        self, spec: NetworkSpec, out_dim: int, side: int = 28, width: int = 32, stages: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__(spec, out_dim, None)  # the values are normalised
        check_sizes("GridCNN", side=side, width=width, stages=stages)
        check_rates("GridCNN", dropout=dropout)
        if spec.coordinates not in _BY_INPUTS:
            other = "" if spec.kernels else ": take Probe"
            raise ConfigError(f"GridCNN reads networks of one to three coordinates, found {spec}{other}")
        if side < 2 ** (stages - 1):
            raise ConfigError(f"GridCNN: side {side} cannot be halved {stages - 1} times: take fewer stages")
        if width % _GROUP:
            raise ConfigError(f"GridCNN: width must be a multiple of {_GROUP}, found {width}")
        self.side = side
        axes = [torch.linspace(-1, 1, side)] * spec.in_dim
        self.register_buffer("points", torch.cartesian_prod(*axes).reshape(-1, spec.in_dim), persistent=False)
        self.values = Normaliser(spec.out_dim)
        widths = [spec.out_dim, *(width * 2**stage for stage in range(stages))]
        self.convolutions = _convolutions(widths, *_BY_INPUTS[spec.in_dim])
        self.head = nn.Sequential(nn.Dropout(dropout), perceptron(2 * widths[-1], 2 * widths[-1], 1, out_dim, dropout))

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        spec = spec or self.spec
        found = self.convolutions(self.pictures(params, spec)).flatten(2)
        result: Tensor = self.head(torch.cat([found.mean(2), found.amax(2)], dim=1))
        return result

    def pictures(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """(B, C, side, ...) normalised values of (B, P) parameters on the grid, one dimension for each input."""
        # without autocast: a sine of frequency 30 needs more precision than that of bfloat16
        with torch.autocast(params.device.type, enabled=False):
            values = self.values(self._outputs(params, spec).mT)
        return values.mT.reshape(len(params), self.spec.out_dim, *[self.side] * self.spec.in_dim)

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets mean and standard deviation of the values from training networks."""
        rows = max(1, NUMBERS // (len(self.points) * max(batch.spec.widths)))
        outputs = (self._outputs(some, batch.spec) for some in batch.params.to(self.points.dtype).split(rows))
        self.values.fit_parts(part.mT.reshape(-1, self.spec.out_dim) for part in outputs)

    def _outputs(self, params: Tensor, spec: NetworkSpec | None) -> Tensor:
        """(B, C, N) outputs at all points of the grid."""
        *_, outputs = layer_outputs(params, spec or self.spec, self.points.to(params.dtype).mT)
        return outputs


def _convolutions(widths: list[int], convolution: Any, pooling: Any) -> nn.Sequential:
    parts: list[nn.Module] = []
    for stage, width in enumerate(widths[1:]):
        parts += [pooling(2)] if stage else []
        for before in (widths[stage], width):
            parts += [convolution(before, width, 3, padding=1), nn.GroupNorm(width // _GROUP, width), nn.SiLU()]
    return nn.Sequential(*parts)
