"""A backbone that edits networks: it returns networks that differ from those that it is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.factory import BackboneFactory, build_backbone
from weightspace.batch import WeightBatch
from weightspace.checks import check_number
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


class Editor(Backbone):
    """Adds to all parameters of a network what a backbone says: ``params + scale * update``.

    Each weight and bias tensor has a scale of its own, which is learned.

    Args:
        spec: architecture of the networks.
        out_dim: number of parameters of a network.
        update: class of the backbone, with its arguments, of which one is ``output="weights"``.
        start: the scales at the beginning, > 0.

    Raises:
        ConfigError: a value out of range, or a backbone whose result is no update of networks.
    """

    free_arguments = Backbone.free_arguments | {"start"}
    constant_buffers = frozenset({"tensor_sizes"})

    update: Backbone
    tensor_sizes: Tensor

    def __init__(self, spec: NetworkSpec, out_dim: int, update: BackboneFactory, start: float = 0.01) -> None:
        super().__init__(spec, out_dim, None)
        check_number("Editor: start", start, above=0)
        self.update = build_backbone(update, spec, out_dim)
        if not self.update.equivariant_to:
            name = type(self.update).__name__
            raise ConfigError(
                f"{name} as it is given returns a vector for each network, and an editor needs numbers for all "
                "parameters, which move with the neurons: give it output: weights (DWS, GNN, GraphTransformer, "
                "ScaleGNN have that)"
            )
        self.equivariant_to, self.compile_pays = self.update.equivariant_to, self.update.compile_pays
        sizes = [size for pair in zip(spec.weight_slices, spec.bias_slices, strict=True) for size in map(_length, pair)]
        self.register_buffer("tensor_sizes", torch.tensor(sizes), persistent=False)
        self.scales = nn.Parameter(torch.full((len(sizes),), float(start)))

    def encode(self, params: Tensor) -> Tensor:
        """Maps (B, P) parameters to (B, P) edited ones."""
        scales = self.scales.repeat_interleave(self.tensor_sizes, output_size=params.shape[1])
        return torch.addcmul(params, scales, self.update.encode(params))

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics of the backbone."""
        self.update.fit_normaliser(batch)

    def blocks(self) -> Sequence[nn.Module]:
        """The backbone."""
        return [self.update]


def _length(part: slice) -> int:
    return int(part.stop - part.start)
