"""Each rule fails for a task that breaks it, and names itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from weightspace.backbones import MLP
from weightspace.batch import WeightBatch
from weightspace.tasks import ContrastiveTask, FineTuneTask, ReconstructionTask, RegressionTask, SupervisedTask, Task
from weightspace.testing import check_task, task_checks
from weightspace.testing.task_rules import BASIC, OTHERS


def small(spec, out_dim: int) -> MLP:
    return MLP(spec, out_dim, hidden=4, layers=1)


class Infinite(SupervisedTask):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) / 0


class Still(SupervisedTask):
    def training_step(self, batch, batch_idx):
        return 0 * super().training_step(batch, batch_idx)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Elsewhere(SupervisedTask):
    monitor = "val/f1"


class Forgetful(SupervisedTask):
    def build(self, spec) -> None:
        super().build(spec)
        self.register_buffer("offset", torch.tensor(random.random()), persistent=False)

    def forward(self, batch):
        return super().forward(batch) + self.offset * torch.arange(3)


class Untested(SupervisedTask):
    def test_step(self, batch, batch_idx, dataloader_idx=0):
        self.log_means({"test/loss": self(batch).mean()}, len(batch))


class Bare(SupervisedTask):
    def predict_step(self, batch, batch_idx):
        return self(batch)


class HardOnly(SupervisedTask):
    def training_step(self, batch: WeightBatch, batch_idx: int):
        loss = F.nll_loss(self(batch).log_softmax(1), batch.targets)
        self.log_training_loss(loss, len(batch))
        return loss


BROKEN = [
    (Infinite, "it_trains", "the loss of step 0 is"),
    (Still, "it_trains", "no weight has changed"),
    (Elsewhere, "the_best_epoch_can_be_chosen", "val/f1 is not logged, only .*val/accuracy"),
    (Forgetful, "checkpoints_survive", "validation gives .* before saving"),
    (Untested, "tests_are_measured", "none of internal_test"),
    (Bare, "predictions_are_a_table", "should return a dict of tensors"),
    (HardOnly, "mixed_classes_are_learnt", "raised RuntimeError"),
]


@pytest.mark.parametrize(("cls", "rule", "message"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_what_is_broken_is_named_alone(cls: type[Task], rule: str, message: str) -> None:
    with pytest.raises(AssertionError, match=rf"(?s)^{cls.__name__}: broken rule {rule} .*{message}") as failure:
        check_task(lambda: cls(small))
    assert str(failure.value).count("broken rule") == 1


def test_every_rule_can_fail() -> None:
    assert {rule for _, rule, _ in BROKEN} == {rule.__name__ for rule in (*BASIC, *OTHERS)}


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (lambda: SupervisedTask(small, label_smoothing=0.1), {}),
        (lambda: RegressionTask(small), {}),
        (lambda: FineTuneTask(small, embedding=4), {}),
        (lambda: ContrastiveTask(small, embedding=4, projection=4, hidden=4), {"positives": "views"}),
        (lambda: ReconstructionTask(small, embedding=4, points=8, width=4, depth=1), {}),
    ],
    ids=["supervised", "regression", "finetune", "contrastive", "reconstruction"],
)
def test_ours_keep_the_contract(make: Callable[[], Task], data: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    check_task(make, **data)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("make", "message"),
    [(SupervisedTask, "cannot be made: TypeError: .*'backbone'"), (lambda: small, "it made a function")],
)
def test_what_makes_no_task(make: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        task_checks(make)
