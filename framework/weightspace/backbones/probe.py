"""Probing: evaluating the input networks at learned points (Kahana et al., arXiv 2410.10811).

The function of a network does not depend on the order, sign, phase or scale of its neurons: a backbone that uses only
outputs is exactly invariant to all symmetries, whatever the activation.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.perceptron import perceptron
from weightspace.batch import WeightBatch
from weightspace.checks import check_rates, check_sizes
from weightspace.errors import ConfigError
from weightspace.network import layer_outputs, spread
from weightspace.spec import NetworkSpec


class Probes(nn.Module):
    """Learned input points, generated from latent codes by a deep linear network, and the neurons' responses to them.

    A composition of linear layers is one linear map, but gradient descent treats it differently: it prefers points
    with a common structure to independent points.

    Args:
        spec: architecture of the networks.
        count: number of points N, >= 1.
        latent: length of a code, >= 1; shorter than a coordinate, it confines the points to a subspace.
        depth: number of linear layers of the generator, >= 1.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, spec: NetworkSpec, count: int, latent: int = 32, depth: int = 2) -> None:
        super().__init__()
        check_sizes("Probe", probes=count, latent=latent, depth=depth)
        if spec.kernels:
            raise ConfigError(f"probes are points that networks are functions of, and these read images: {spec}")
        self.spec = spec
        widths = [latent] * depth + [spec.in_dim]
        self.codes = nn.Parameter(torch.randn(count, latent))
        self.generator = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))
        self._spread()
        hidden = [Normaliser(1, center=False) for _ in spec.widths[1:-1]]
        self.scales = nn.ModuleList([*hidden, Normaliser(spec.out_dim)])

    @torch.no_grad()
    def _spread(self) -> None:
        """Sets the codes so that the initial points are evenly spread over [-1, 1] (a scrambled Sobol sequence)."""
        total = torch.eye(self.codes.shape[1], dtype=torch.float32)  # torch's Sobol engine has no bfloat16
        for layer in self.generator:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
            total = total @ layer.weight.T.float()
        seed = int(torch.randint(2**31, ()))
        goal = spread(self.spec.in_dim, len(self.codes), seed, torch.float32)
        self.codes.add_((goal - self.codes.float() @ total) @ torch.linalg.pinv(total))

    def points(self) -> Tensor:
        """(N, in_dim) coordinates of the learned points."""
        points: Tensor = self.generator(self.codes)
        return points

    def forward(self, params: Tensor, spec: NetworkSpec | None = None) -> list[Tensor]:
        """Computes (B, n_l, N) responses of each layer's neurons; the first entry is the coordinates, (1, n_0, N).

        Responses of hidden layers are divided by the layer's root mean square; outputs are normalised.

        Args:
            params: (B, P) parameters, not normalised.
            spec: their architecture, if its hidden widths may be others than those that it was built for.
        """
        # without autocast: a sine of frequency 30 needs more precision than that of bfloat16
        with torch.autocast(params.device.type, enabled=False):
            points = self.points().to(params.dtype).mT
            responses = layer_outputs(params, spec or self.spec, points)
            scaled = [scale(x.mT).mT for scale, x in zip(self.scales, responses, strict=True)]
        return [points.unsqueeze(0), *scaled]

    @torch.no_grad()
    def fit(self, params: Tensor, spec: NetworkSpec | None = None) -> None:
        """Computes the scales of the responses from (B, P) training networks of the architecture ``spec``."""
        for scale, response in zip(
            self.scales, layer_outputs(params, spec or self.spec, self.points().mT), strict=True
        ):
            assert isinstance(scale, Normaliser)
            scale.fit(response.mT.reshape(-1, len(scale.mean)))


class Probe(Backbone):
    """A perceptron on the outputs of the networks at learned points, as in ProbeGen.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        probes: number of points, >= 1.
        latent: length of the code behind a point.
        depth: linear layers between code and point.
        hidden: width of the perceptron's hidden layers.
        layers: number of them, >= 1.
        dropout: in [0, 1), after each hidden layer.

    Raises:
        ConfigError: a value out of range.
    """

    invariant_to = frozenset({"permutation", "sign", "phase", "scale"})
    free_widths = True
    compile_pays = 2e12

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        probes: int = 128,
        latent: int = 32,
        depth: int = 2,
        hidden: int = 512,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(spec, out_dim, None)  # the probes normalise responses
        check_sizes("Probe", hidden=hidden, layers=layers)
        check_rates("Probe", dropout=dropout)
        self.probes = Probes(spec, probes, latent, depth)
        self.head = perceptron(probes * spec.out_dim, hidden, layers, out_dim, dropout, norm=True)

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        spec = spec or self.spec
        result: Tensor = self.head(self.probes(params, spec)[-1].flatten(1))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets mean and standard deviation of the outputs from training networks."""
        self.probes.fit(batch.params.to(self.probes.codes.dtype), batch.spec)
