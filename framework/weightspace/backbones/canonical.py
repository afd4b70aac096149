"""A backbone on canonical forms: invariance by choosing one representative of each orbit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.backbones.factory import BackboneFactory, build_backbone
from weightspace.batch import WeightBatch
from weightspace.checks import check_choice
from weightspace.errors import ConfigError, SpecError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import align, canonicalise, resolve_group, scale_neurons
from weightspace.symmetry.scales import unit_scales

FORMS = ("sorted", "reference")


class Canonical(Backbone):
    """Brings networks to one form, whatever their symmetries, then applies a backbone.

    With ``form: sorted`` that is the canonical form of each network by itself (``weightspace.symmetry.canonicalise``).
    With ``form: reference`` each network is aligned with the reference of the zoo's stored alignment
    (``weightspace zoo align``, ``weightspace.symmetry.align``), ReLU neurons at unit norm. The reference is saved with
    the weights, so that these need no zoo, and other networks are brought into the same frame.

    Invariant to the group, but not continuous: close networks can have forms that are far apart, where two neurons are
    about to change their order, or their partners. ``canonicalise`` names the exceptions of the sorted form, such as
    neurons without incoming weights and bias; of the other form these are ties between neurons. Gradients do not go
    back to the weights of the networks.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result.
        backbone: class of the inner backbone, with its arguments; for instance ``MLP``.
        group: "auto" (all symmetries of the activation) or one of ``weightspace.symmetry.GROUPS``.
        form: "sorted" or "reference".
        alignment: name of the stored alignment whose reference is used; None: the only one of the zoo.

    Raises:
        SpecError: a group that the activation does not have.
        ConfigError: ``backbone`` makes something else, or ``alignment`` is given with the sorted form.
    """

    free_arguments = frozenset({"dropout", "alignment"})  # the reference itself is saved
    constant_buffers = frozenset({"reference"})

    reference: Tensor

    def __init__(
        self,
        spec: NetworkSpec,
        out_dim: int,
        backbone: BackboneFactory,
        group: str = "auto",
        form: str = "sorted",
        alignment: str | None = None,
    ) -> None:
        super().__init__(spec, out_dim, None)  # the backbone within has its own
        self.group, self.form = group, check_choice("Canonical: form", form, FORMS)
        if alignment is not None and form != "reference":
            raise ConfigError("Canonical: alignment has no effect without form: reference: leave it out")
        self.backbone = build_backbone(backbone, spec, out_dim)
        self.compile_pays = self.backbone.compile_pays
        # a symmetry outside of the group may change the canonical order of the neurons
        kept = self.backbone.invariant_to if "permutation" in self.backbone.invariant_to else frozenset()
        self.invariant_to = resolve_group(group, spec) | kept
        if form == "reference":
            self.stored_alignment = alignment or True
            self.register_buffer("reference", torch.zeros(1, spec.num_params))
        self._referenced = False

    def set_reference(self, reference: WeightBatch) -> None:
        """Sets the network that others are aligned with.

        Args:
            reference: a batch of one network.

        Raises:
            SpecError: not one network, or of another architecture.
        """
        if reference.spec != self.spec or len(reference) != 1:
            raise SpecError(
                f"the reference should be one network {self.spec}, found {len(reference)} of {reference.spec}"
            )
        self.reference.copy_(reference.params)
        self._referenced = False

    def encode(self, params: Tensor) -> Tensor:
        """Maps (B, P) parameters to (B, out_dim).

        Raises:
            ConfigError: there is no reference yet.
        """
        result: Tensor = self.backbone(self._canonical(WeightBatch(params, self.spec)))
        return result

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the statistics from the canonical forms of training networks."""
        self.backbone.fit_normaliser(self._canonical(batch))

    def blocks(self) -> Sequence[nn.Module]:
        """The inner backbone; sorting does not gain from being compiled."""
        return [self.backbone]

    @torch.no_grad()
    def _canonical(self, batch: WeightBatch) -> WeightBatch:
        if self.form == "sorted":
            return canonicalise(batch, self.group)
        self._check_reference()
        reference = batch.replace(params=self.reference.to(batch.params).expand(len(batch), -1))
        group = self.group
        if "scale" in resolve_group(group, self.spec):  # the closest scale is known to half of the digits only
            reference, batch = (scale_neurons(part, unit_scales(part)) for part in (reference, batch))
            group = "permutation"
        return align(reference, batch, group).apply(batch)

    def _check_reference(self) -> None:
        """Raises ConfigError without a reference; looks until there is one, since a GPU is waited for to look."""
        self._referenced = self._referenced or bool(self.reference.any())
        if not self._referenced:
            raise ConfigError(
                "Canonical(form: reference) has no reference yet: a task takes it from the zoo, set_reference sets "
                "it, or it comes with saved weights"
            )

    def _load_from_state_dict(self, *state: Any) -> None:
        """Loads weights, with a reference or without one."""
        super()._load_from_state_dict(*state)
        self._referenced = False
