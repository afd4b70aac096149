"""Editing networks: weights in, weights out, so that the edited network draws the edited object."""

from __future__ import annotations

from functools import partial
from typing import Any, Self, cast

import lightning.pytorch as pl
import torch
from torch import Tensor

from weightspace.backbones.base import Backbone
from weightspace.backbones.editor import Editor
from weightspace.backbones.factory import BackboneFactory
from weightspace.batch import WeightBatch
from weightspace.checks import check_choice, check_number, check_whole
from weightspace.data import ZooDataModule
from weightspace.data.mixture import zoos_of
from weightspace.data.targets import Target
from weightspace.errors import ConfigError
from weightspace.network import decibels
from weightspace.spec import NetworkSpec
from weightspace.tasks.base import TEST_NAMES, Task
from weightspace.tasks.edit_targets import (
    Goal,
    ObjectImages,
    drawn,
    images_of,
    object_goal,
    own_goal,
    square_errors,
)  # fmt: skip
from weightspace.tasks.edits import EditEntry, build_edit, edited
from weightspace.tasks.linear_filter import SIDE, filtered, fit_filter

TARGETS = ("networks", "objects")
#: Training networks from which the best linear filter is computed.
FILTERED = 2_000


class EditTask(Task):
    """Trains a backbone to edit networks of images, for instance to dilate what they draw.

    Zhou et al., arXiv 2305.13546 (section on editing implicit networks); Kalogeropoulos et al., arXiv 2406.10685. The
    edited network is ``params + scale * update(params)`` with a learned scale for each weight and bias tensor
    (``Editor``). The loss is the mean square difference between what it draws and the edited object.

    Logs ``train/loss``, and for validation and test ``mse`` and ``psnr`` (means over networks, of values in [0, 1]; in
    decibels); for tests also the same of networks without an edit (``..._no_edit``), and of the best linear filter of
    what they draw (``..._filter``), which is computed from training networks.

    Augmentations move the target, too: in the space of inputs, the object; symmetries leave it. Those that change
    targets or mix networks have no meaning here and are refused.

    Args:
        backbone: class of the backbone with its arguments, of which one is ``output="weights"``.
        edit: name of an edit (dilation, erosion, contrast, blur, sharpen, or of a plugin, by the entry points
            ``weightspace.edits``), {name: {parameter: value}}, or a function of images (B, C, H, W) in [0, 1].
        targets: "networks": the edit of what each network draws itself; or "objects": of the object that it was fitted
            to, for which ``give_objects`` is called (the command line does that by itself).
        side: height and width in pixels of what networks draw; objects have their own size.
        points: random pixels per training step; None: all.
        start: the scales at the beginning, > 0.
        options: arguments of ``Task``: optimiser, schedule, ``compile``.

    Raises:
        ConfigError: a value is out of range, or an edit is unknown.
    """

    monitor = "val/mse"
    monitor_mode = "min"
    artefact_name = "editor"
    constant_buffers = frozenset({"filter", "value_range"})

    filter: Tensor
    value_range: Tensor

    def __init__(
        self,
        backbone: BackboneFactory,
        *,
        edit: EditEntry,
        targets: str = "networks",
        side: int = 28,
        points: int | None = None,
        start: float = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(partial(Editor, update=backbone, start=start), **options)
        check_choice("EditTask: targets", targets, TARGETS)
        check_whole("EditTask: side", side, low=2)
        if points is not None:
            check_whole("EditTask: points", points, low=1)
        check_number("EditTask: start", start, above=0)
        self.edit, self.targets, self.points = build_edit(edit), targets, points
        self.side = side
        self._objects: ObjectImages | None = None

    def give_objects(self, objects: ObjectImages) -> Self:
        """Sets the images of the objects, for ``targets="objects"``, and returns the task.

        Args:
            objects: (n, C, H, W) with values in [0, 1], in the order of the objects' numbers; or a function of (B,)
                such numbers that returns (B, C, H, W).
        """
        self._objects = objects
        return self

    @property
    def out_dim(self) -> int:
        """Number of parameters of a network."""
        return 0 if self.built_for is None else self.built_for.num_params

    @property
    def encoder(self) -> Backbone:
        """The network built from the argument ``backbone``."""
        return cast(Editor, self.backbone).update

    def build(self, spec: NetworkSpec) -> None:
        """Builds the editor, and buffers for the best linear filter and the range of values."""
        if spec.coordinates != 2:
            raise ConfigError(
                f"EditTask edits what networks draw, images of two coordinates, and these have {spec.in_dim} inputs: "
                f"{spec}"
            )
        super().build(spec)
        self.register_buffer("filter", torch.zeros(spec.out_dim, spec.out_dim * SIDE**2 + 1))
        self.register_buffer("value_range", torch.tensor([0.0, 1.0]))

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if the edit, the objects or an augmentation cannot be used with these networks."""
        super().check(data, trainer)
        for augmentation in data.chain.augmentations:
            if augmentation.uses_labels:
                raise ConfigError(
                    f"{augmentation.name}: changes targets, which are not used in editing networks: leave it out"
                )
            if augmentation.mixes and self.targets == "objects":
                raise ConfigError(
                    f"{augmentation.name}: a mixture of networks has no object that could be edited: leave it out, or "
                    "take targets: networks"
                )
        if self.targets == "objects":
            self._check_sources(data)
            given, last = (
                self._given(),
                max(int(zoo.objects.max()) for zoo in (*zoos_of(data.zoo), *zoos_of(data.tested))),
            )
            if isinstance(given, Tensor) and last >= len(given):
                raise ConfigError(
                    f"images of {len(given)} objects were given, and networks are of objects up to {last}"
                )
            images_of(given, data.training_batch(limit=1))
        edited(self.edit, torch.zeros(1, data.spec.out_dim, self.side, self.side))

    def _check_sources(self, data: ZooDataModule) -> None:
        """Raises ConfigError if some networks are of other objects, whose images are not given."""
        source = data.zoo.header.provenance.get("source")
        for zoo in (*zoos_of(data.zoo), *zoos_of(data.tested)):
            if (other := zoo.header.provenance.get("source")) != source:
                raise ConfigError(
                    f"targets 'objects': images are given for objects of {data.zoo.path} ({_called(source)}), and "
                    f"{zoo.path} is of others ({_called(other)}): take networks of the same objects"
                )

    def prepare(self, data: ZooDataModule) -> None:
        """Sets the normaliser, and the best linear filter of what training networks draw."""
        super().prepare(data)
        self.value_range.copy_(torch.tensor(data.zoo.value_range))
        batch = data.training_batch(limit=FILTERED)
        goal = self.goal(batch)
        self.filter.copy_(fit_filter(self.drawn(batch, goal), goal.images))

    def setup(self, stage: str) -> None:
        """Asks the data for where augmentations move objects, if those are edited."""
        super().setup(stage)
        if self._has_data:
            self.data.chain.places = self.targets == "objects"

    @torch.no_grad()
    def goal(self, batch: WeightBatch) -> Goal:
        """What the edited networks of a batch should draw.

        Raises:
            ConfigError: the objects were not given, or have another size.
        """
        if self.targets == "networks":
            return own_goal(batch, self.edit, (self.side, self.side), self.value_range)
        return object_goal(batch, self.edit, images_of(self._given(), batch))

    def drawn(self, batch: WeightBatch, goal: Goal) -> Tensor:
        """(B, C, H, W) what networks draw, in the size of a goal, clipped to [0, 1]."""
        height, width = goal.images.shape[2:]
        return drawn(batch, (height, width), self.value_range).clamp(0, 1)

    def _given(self) -> ObjectImages:
        if self._objects is None:
            raise ConfigError(
                "targets 'objects' need the images of the objects: task.give_objects(images). The command line takes "
                "them from the source of the zoo"
            )
        return self._objects

    def loss(self, results: Tensor, batch: WeightBatch) -> Tensor:
        """The mean square difference between what edited networks draw and what they should."""
        return self._errors(results, batch, self.goal(batch), self.points if self.training else None).mean()

    def _errors(self, results: Tensor, batch: WeightBatch, goal: Goal, points: int | None = None) -> Tensor:
        edited_batch = WeightBatch(results.to(batch.params.dtype), batch.spec)
        return square_errors(edited_batch, goal, self.value_range, points)

    @torch.no_grad()
    def _evaluate(self, stage: str, batch: WeightBatch) -> tuple[Tensor, WeightBatch]:
        """Logs errors of edited networks, and for tests those of what an editor should be better than."""
        results, batch = self.measured(batch)
        goal = self.goal(batch)  # once for loss and measures
        errors = {"": self._errors(results, batch, goal)}
        self.log_means({f"{stage}/loss": errors[""].mean()}, len(batch), add_dataloader_idx=False)
        if stage in TEST_NAMES:
            before = self.drawn(batch, goal)
            best = filtered(before, self.filter.to(before))
            errors["_no_edit"] = self._errors(batch.params, batch, goal)
            errors["_filter"] = (best - goal.images).square().mean((1, 2, 3))
        for name, error in errors.items():
            means = {f"{stage}/mse{name}": error.mean(), f"{stage}/psnr{name}": decibels(error).mean()}
            self.log_means(means, len(batch), prog_bar=stage == "val", add_dataloader_idx=False)
        return results, batch

    @property
    def predicted(self) -> Target:
        """The errors that ``predict_step`` returns."""
        return Target("value", ("mse", "mse_no_edit"))

    def predict_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Returns object, view, and the errors of the network with and without its edit."""
        goal = self.goal(batch)
        errors = [self._errors(self(batch), batch, goal), self._errors(batch.params, batch, goal)]
        return {"object": batch.objects, "view": batch.views, "prediction": torch.stack(errors, dim=1)}

    @torch.no_grad()
    def pictures(self, batch: WeightBatch) -> dict[str, Tensor]:
        """(B, C, H, W) pictures by name: what networks draw, should draw, and draw once they are edited."""
        goal = self.goal(batch)
        after = batch.replace(params=self(batch).to(batch.params.dtype))
        before = self.drawn(batch, goal)
        best = filtered(before, self.filter.to(before))
        return {"before": before, "target": goal.images, "after": self.drawn(after, goal), "best filter": best}


def _called(source: dict[str, Any] | None) -> str:
    """A source as a zoo names it; arguments that tell two of one name apart are in its digest alone."""
    return "no source" if source is None else f"{source['name']}, {source['digest'][:8]}"
