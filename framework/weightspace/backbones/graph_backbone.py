"""The base class of backbones that are layers on the graph of neurons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weightspace.backbones.base import Backbone
from weightspace.backbones.graph import GraphEmbedding
from weightspace.backbones.graph_readout import GraphReadout, GraphWeights
from weightspace.backbones.normaliser import Normaliser
from weightspace.batch import WeightBatch
from weightspace.checks import check_sizes
from weightspace.spec import NetworkSpec

#: Small enough for a processor's caches, large enough that the fixed cost of an operation does not count.
WEIGHTS_AT_A_TIME = 16_384


class GraphBackbone(Backbone):
    """Embedding, layers and readout of graphs; graph backbones differ in their layers.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        embedding, readout: of the graph.
        layers: modules Graph -> Graph.
        chunk: networks that go through the layers at a time; 0: a power of two that have about ``WEIGHTS_AT_A_TIME``
            weights together.
        recompute: keep the layers' inputs only, and compute each layer again in the backward pass.

    Raises:
        ConfigError: a chunk below 0.
    """

    invariant_to = frozenset({"permutation"})
    free_widths = True
    free_arguments = frozenset({"dropout", "pool_dropout", "chunk", "recompute"})

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        embedding: GraphEmbedding,
        layers: Iterable[nn.Module],
        readout: GraphReadout | GraphWeights,
        chunk: int,
        recompute: bool,
    ) -> None:
        super().__init__(spec, out_dim, Normaliser.per_tensor(spec))
        check_sizes(type(self).__name__, least=0, chunk=chunk)
        self.embedding, self.readout = embedding, readout
        if isinstance(readout, GraphWeights):
            self.invariant_to, self.equivariant_to = frozenset(), frozenset({"permutation"})
            self.free_widths = False
        self.layers = nn.ModuleList(layers)
        weights = sum(rows * columns for rows, columns in pairwise(spec.widths))
        # a power of two divides most batches: a compiled layer then sees one shape only
        self.chunk = chunk or 2 ** max(0, round(math.log2(WEIGHTS_AT_A_TIME / weights)))
        self.recompute = recompute

    def encode(self, params: Tensor, spec: NetworkSpec | None = None) -> Tensor:
        """Maps (B, P) parameters, of networks of the architecture ``spec``, to (B, out_dim)."""
        return torch.cat([self._chunk(part, spec or self.spec) for part in params.split(self.chunk)])

    def _chunk(self, params: Tensor, spec: NetworkSpec) -> Tensor:
        graph, responses = self.embedding(params, self.normaliser(params, spec), spec)
        for layer in self.layers:
            again = self.recompute and torch.is_grad_enabled()
            graph = checkpoint(layer, graph, use_reentrant=False) if again else layer(graph)
        result: Tensor = self.readout(graph, responses)
        return self.normaliser.std * result if isinstance(self.readout, GraphWeights) else result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics of parameters and responses from training networks."""
        super().fit_normaliser(batch)
        if self.embedding.probes is not None:
            self.embedding.probes.fit(batch.params.to(self.normaliser.mean.dtype), batch.spec)

    def blocks(self) -> Sequence[nn.Module]:
        """The layers: equal ones are compiled once."""
        return list(self.layers)
