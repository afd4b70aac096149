"""Prediction of numbers from networks: a classifier's accuracy, for instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.regression import KendallRankCorrCoef, MeanSquaredError, R2Score

from weightspace.backbones.base import Backbone, build_backbone
from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.distributed import share
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks.base import Task
from weightspace.tasks.optim import Optimisation
from weightspace.tasks.supervised import TEST_NAMES


class RegressionTask(Task):
    """Trains a backbone with the mean squared error of standardised targets.

    Logs ``train/loss`` and ``val/loss``, in units of the training targets' variance, and for validation and test ``r2``
    (share of the variance that is explained), ``kendall`` (Kendall's tau b: whether the order is right) and ``mse`` in
    the targets' own units. With several targets, r2 and kendall are means over them.

    Args:
        backbone: class of the network, with its arguments; the zoo gives it the architecture and number of targets.
        learning_rate: peak of AdamW's rate.
        weight_decay: AdamW's, on matrices only.
        warmup: part of all steps with a rising rate, before the cosine.
        compile: run the backbone through ``torch.compile``.
    """

    head = "value"
    monitor = "val/r2"

    def __init__(
        self,
        backbone: Callable[[NetworkSpec, int], Backbone],
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        compile: bool = False,
    ) -> None:
        super().__init__(Optimisation(learning_rate, weight_decay, warmup))
        self.make_backbone, self.compile_backbone = backbone, compile

    def make(self, data: ZooDataModule) -> None:
        """Builds backbone and metrics."""
        batch = data.training_batch()
        targets = _targets(batch)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", targets.mean(0))
        self.register_buffer("deviation", targets.std(0, correction=0).clamp(min=1e-8))
        count = targets.shape[1]
        self.backbone = build_backbone(self.make_backbone, data.spec, count)
        self.backbone.fit_normaliser(batch)
        if self.compile_backbone:
            self.backbone.compile()
        metrics = MetricCollection(
            {"r2": R2Score(), "kendall": KendallRankCorrCoef(num_outputs=count), "mse": MeanSquaredError()}
        )
        self.val_metrics = metrics.clone()
        self.test_metrics = nn.ModuleList(metrics.clone() for _ in TEST_NAMES)

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError where the data has pairs, or classes."""
        super().check(data, trainer)
        if data.positives is not None:
            raise ConfigError("RegressionTask does not learn from pairs: leave data.positives out")
        if data.class_names is not None:
            raise ConfigError(f"RegressionTask predicts numbers, but {data.zoo.path} has classes: take SupervisedTask")
        rows = data.zoo.rows("val", first_view_only=True)
        if len(rows) and (data.zoo.targets[rows] == data.zoo.targets[rows[0]]).all(0).any():
            raise ConfigError(
                f"the validation objects of {data.zoo.path} ({len(rows)}) have one target, which leaves no variance "
                "for R2 to explain: fit it with more of them (val=100), or with none"
            )

    @property
    def artefact_target(self) -> dict[str, Any] | None:
        """Kind and names, and what predictions are: the network's result times ``deviation``, plus ``mean``."""
        units = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        target = super().artefact_target
        return None if target is None else {**target, **units}

    def forward(self, batch: WeightBatch) -> Tensor:
        """(B, T) predictions in the targets' units."""
        standardised: Tensor = self.backbone(batch)
        return standardised * self.deviation + self.mean

    def _loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        return ((predicted - targets.to(predicted.dtype)) / self.deviation).square().mean()

    def training_step(self, batch: WeightBatch, batch_idx: int) -> Tensor:
        """Mean squared error of one batch, in variances."""
        loss = self._loss(self(batch), _targets(batch))
        self.log_training_loss(loss, len(batch))
        return loss * share(len(batch), loss)

    def validation_step(self, batch: WeightBatch, batch_idx: int) -> None:
        """Loss and metrics of one batch of validation networks."""
        predicted, batch = self.measured(batch)
        self.log_means({"val/loss": self._loss(predicted, _targets(batch))}, len(batch))
        _update(self.val_metrics, predicted, batch)

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of all validation networks."""
        self._log(self.val_metrics, "val")

    def test_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Metrics of one batch of the external or internal test."""
        _update(cast(MetricCollection, self.test_metrics[dataloader_idx]), *self.measured(batch))

    def on_test_epoch_end(self) -> None:
        """Logs the metrics of all test networks."""
        for name, metrics in zip(TEST_NAMES, self.test_metrics, strict=True):
            self._log(cast(MetricCollection, metrics), name)

    def _log(self, metrics: MetricCollection, name: str) -> None:
        first = cast(R2Score, metrics["r2"])
        if not first.update_called:
            metrics.reset()
            return
        if not first.total:  # all were left out
            values = {str(key): first.total.new_tensor(float("nan"), dtype=torch.float32) for key in metrics}
        elif first.total < 2:  # which has no variance to explain, and no order
            values = {"mse": metrics["mse"].compute()}
        else:
            values = metrics.compute()
        for key, value in values.items():
            self.log(f"{name}/{key}", value.float().mean(), prog_bar=name == "val" and key == "r2")
        metrics.reset()

    def predict_step(self, batch: WeightBatch, batch_idx: int) -> dict[str, Tensor]:
        """Object, view and prediction of each network."""
        assert batch.objects is not None
        assert batch.views is not None
        return {"object": batch.objects, "view": batch.views, "prediction": self(batch)}


def _targets(batch: WeightBatch) -> Tensor:
    assert batch.targets is not None, "the zoo store always has targets"
    return batch.targets


def _update(metrics: MetricCollection, predicted: Tensor, batch: WeightBatch) -> None:
    targets = _targets(batch).to(predicted.dtype)
    if targets.shape[1] == 1:  # Kendall's tau takes vectors where there is one target
        predicted, targets = predicted.squeeze(1), targets.squeeze(1)
    metrics.update(predicted, targets)
