"""A backbone on canonical forms: invariance by choosing one representative of each orbit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.factory import BackboneFactory, build_backbone
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec
from weightspace.symmetry import canonicalise, resolve_group


class Canonical(Backbone):
    """Brings networks to their canonical form (``weightspace.symmetry.canonicalise``), then applies a backbone.

    Invariant to the group, but not continuous: close networks can have canonical forms that are far apart, where two
    neurons are about to change their order. ``canonicalise`` names the exceptions, such as neurons without incoming
    weights and bias. Gradients do not go back to the weights of the networks.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        backbone: class of the inner backbone, with its arguments; for instance ``MLP``.
        group: "auto" (all symmetries of the activation) or one of ``weightspace.symmetry.GROUPS``.

    Raises:
        SpecError: a group that the activation does not have.
        ConfigError: ``backbone`` makes something else.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        backbone: BackboneFactory,
        group: str = "auto",
    ) -> None:
        super().__init__(spec, out_dim, None)  # the backbone within has its own
        self.group = group
        self.backbone = build_backbone(backbone, spec, out_dim)
        # a symmetry outside of the group may change the canonical order of the neurons
        kept = self.backbone.invariant_to if "permutation" in self.backbone.invariant_to else frozenset()
        self.invariant_to = resolve_group(group, spec) | kept

    def encode(self, params: Tensor) -> Tensor:
        """Maps (B, P) parameters to (B, out_dim)."""
        result: Tensor = self.backbone(self._canonical(WeightBatch(params, self.spec)))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics from the canonical forms of training networks."""
        self.backbone.fit_normaliser(self._canonical(batch))

    def blocks(self) -> Sequence[nn.Module]:
        """Blocks of the inner backbone; sorting does not gain from being compiled."""
        return self.backbone.blocks()

    @torch.no_grad()
    def _canonical(self, batch: WeightBatch) -> WeightBatch:
        return canonicalise(batch, self.group)
