"""Comparing results with targets, and checking that a task can learn from the data."""

from __future__ import annotations

from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError


def targets_of(batch: WeightBatch) -> Tensor:
    """The targets of a batch of a data module, which always has targets."""
    assert batch.targets is not None, "the zoo store always has targets"
    return batch.targets


def compared(results: Tensor, batch: WeightBatch) -> tuple[Tensor, Tensor]:
    """Converts results and targets to the form that metrics expect.

    Returns:
        (B, K) logits and (B,) classes, the likeliest one if targets are mixed; or predictions and targets of one
        precision, (B, T), or (B,) if there is one target.
    """
    targets = targets_of(batch)
    if batch.num_classes is not None:
        return results, targets.argmax(1) if targets.ndim == 2 else targets
    targets = targets.to(results.dtype)
    return (results.squeeze(1), targets.squeeze(1)) if targets.shape[1] == 1 else (results, targets)


def check_learnable(data: ZooDataModule, task: str, head: str | None, pairs: bool) -> None:
    """Raises ConfigError if only one of data and task uses pairs, or the target is of another kind.

    Args:
        data: the data module.
        task: name of the task, for messages.
        head: kind of target that it predicts, "class", "value" or None.
        pairs: whether it learns from pairs.
    """
    if pairs and data.positives is None:
        raise ConfigError(f"{task} learns from pairs: set data.positives to augment, views or both")
    if data.positives is not None and not pairs:
        raise ConfigError(f"{task} does not learn from pairs: leave data.positives out")
    if head == "class" and data.class_names is None:
        raise ConfigError(f"{task} classifies, but {data.zoo.path} has no classes")
    if head == "value" and data.class_names is not None:
        raise ConfigError(f"{task} predicts numbers, but {data.zoo.path} has classes: take SupervisedTask")


def check_classes(data: ZooDataModule, task: str) -> None:
    """Raises ConfigError if the data has only one class, so that there is nothing to distinguish."""
    if data.class_names is not None and len(data.class_names) < 2:
        raise ConfigError(
            f"{task} needs two classes or more, and {data.zoo.path} has one, {data.class_names[0]!r}"
            ". A model that has learned it among others can be tested on it (ckpt_path)"
        )
