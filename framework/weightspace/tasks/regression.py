"""Predicting numbers from networks, for instance the accuracy of a classifier."""

from __future__ import annotations

from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.regression import KendallRankCorrCoef, MeanSquaredError, R2Score

from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.distributed import total
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks.base import TEST_NAMES, Task
from weightspace.tasks.learned import compared, targets_of
from weightspace.tasks.regret import Regret


class RegressionTask(Task):
    """Trains a backbone with the mean squared error of standardised targets.

    Logs ``train/loss`` and ``val/loss`` in units of the training targets' variance, and for validation and test ``r2``
    (explained fraction of the variance), ``kendall`` (Kendall's tau b, a rank correlation), and in the units of the
    targets ``mse`` and ``regret`` (what choosing the network of largest prediction costs, of ten at random). With
    several targets, r2, kendall and regret are means over them. The arguments are those of ``Task``.
    """

    head = "value"
    monitor = "val/r2"

    constant_buffers = frozenset({"mean", "deviation"})

    mean: Tensor
    deviation: Tensor

    def build(self, spec: NetworkSpec) -> None:
        """Builds the backbone, and buffers for mean and standard deviation of the targets."""
        self.register_buffer("mean", torch.zeros(self.out_dim))
        self.register_buffer("deviation", torch.ones(self.out_dim))
        super().build(spec)

    def prepare(self, data: ZooDataModule) -> None:
        """Sets the statistics of the training networks and of their targets."""
        super().prepare(data)
        targets = torch.cat([targets_of(batch) for batch in data.training_batches()])
        self.mean.copy_(targets.mean(0))
        self.deviation.copy_(targets.std(0, correction=0).clamp(min=1e-8))

    def metrics(self, stage: str) -> dict[str, Metric]:
        """Makes R2, Kendall's tau, the mean squared error and the regret for all stages but training."""
        if stage == "train":
            return {}
        return {
            "r2": R2Score(),
            "kendall": KendallRankCorrCoef(num_outputs=self.out_dim),
            "mse": MeanSquaredError(),
            "regret": Regret(),
        }

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if the data has pairs or classes, or validation targets without variance."""
        super().check(data, trainer)
        rows = data.zoo.rows("val", first_view_only=True)
        if len(rows) and (data.zoo.targets[rows] == data.zoo.targets[rows[0]]).all(0).any():
            raise ConfigError(
                f"the validation objects of {data.zoo.path} ({len(rows)}) have one target, which leaves no variance "
                "for R2 to explain: fit it with more of them (val=100), or with none"
            )

    @property
    def artefact_target(self) -> dict[str, Any] | None:
        """Kind and names, and ``deviation`` and ``mean``, with which the network's result is scaled to predictions."""
        units = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        target = super().artefact_target
        return None if target is None else {**target, **units}

    def forward(self, batch: WeightBatch) -> Tensor:
        """Returns (B, T) predictions in the units of the targets."""
        return super().forward(batch) * self.deviation + self.mean

    def loss(self, results: Tensor, batch: WeightBatch) -> Tensor:
        """The mean squared error in units of the targets' variance."""
        return ((results - targets_of(batch).to(results.dtype)) / self.deviation).square().mean()

    def test_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Updates the metrics with a batch of the external or internal test."""
        results, batch = self.measured(batch)
        for stage in self.test_stages(batch, dataloader_idx):
            self.measure(stage, results, batch)

    def measure(self, stage: str, results: Tensor, batch: WeightBatch) -> None:
        """Updates the metrics, which are logged at the end of the epoch since some need several networks."""
        found = compared(results, batch)
        # R2 is a difference of squares, of which targets that are large against their spread would leave nothing
        units = [(values - self.mean) / self.deviation for values in found]
        for name, metric in self.metrics_of(stage).items():
            metric.update(*(units if name == f"{stage}/r2" else found))

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics over all validation networks."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """Logs the metrics over all test networks."""
        for stage in (*TEST_NAMES, *self._by_width.values()):
            self._log(stage)

    def _log(self, stage: str) -> None:
        metrics = self.metrics_of(stage)
        first = cast(R2Score, metrics[f"{stage}/r2"])
        if first.update_called:
            count = int(total(int(first.total), first.total.device))  # of all ranks, which compute the same metrics
            if not count:  # all were left out
                values = {name: first.total.new_tensor(float("nan"), dtype=torch.float32) for name in metrics}
            elif count < 2:  # a single network has neither variance nor order
                values = {f"{stage}/mse": metrics[f"{stage}/mse"].compute()}
            else:
                values = {name: metric.compute() for name, metric in metrics.items()}
            for name, value in values.items():
                self.log(name, value.float().mean(), prog_bar=name == self.monitor)
        self.reset(stage)
