"""Predictions of a task: classes with their probabilities, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightspace.backbones.embedding import Networks, batches_of, evaluating
from weightspace.data.seen import check_unseen
from weightspace.data.targets import Target
from weightspace.distributed import gather
from weightspace.errors import ConfigError
from weightspace.runs.folder import RunFolder
from weightspace.tasks.base import Task
from weightspace.zoo import Zoo

KINDS = ("probability", "prediction")
EXPECTED = (
    'a dict of tensors with "object" (B,), "view" (B,) and "probability" (B, K) of the classes or "prediction" (B, T)'
)
#: Number of networks that a repr lists.
LISTED = 5


@dataclass(frozen=True, repr=False)
class Predictions:
    """The predictions for n networks.

    Attributes:
        target: kind and names of the predicted target.
        result: (n, K) probabilities of the classes, or (n, T) numbers, on the CPU.
        objects, views: (n,) object and view of each network, or None if unknown.
    """

    target: Target
    result: Tensor
    objects: Tensor | None = None
    views: Tensor | None = None

    def __len__(self) -> int:
        return len(self.result)

    @property
    def class_names(self) -> list[str] | None:
        """Names of the K classes in the order of ``probabilities``; None if numbers are predicted."""
        return list(self.target.names) if self.target.kind == "class" else None

    @property
    def probabilities(self) -> Tensor:
        """(n, K) probabilities of the classes.

        Raises:
            ConfigError: the task predicts numbers.
        """
        return self._of("class", "values")

    @property
    def names(self) -> list[str]:
        """The name of the likeliest class of each network.

        Raises:
            ConfigError: the task predicts numbers.
        """
        return [self.target.names[number] for number in self.probabilities.argmax(1).tolist()]

    @property
    def values(self) -> Tensor:
        """(n, T) predicted numbers in the units of the targets.

        Raises:
            ConfigError: the task predicts classes.
        """
        return self._of("value", "names and probabilities")

    def _of(self, kind: str, others: str) -> Tensor:
        if self.target.kind != kind:
            raise ConfigError(f"these are predictions of {self.target}: they have {others}")
        return self.result

    def __repr__(self) -> str:
        if self.target.kind == "class":
            shares = self.probabilities.amax(1)[:LISTED].tolist()
            items = [f"{name} ({share:.0%})" for name, share in zip(self.names[:LISTED], shares, strict=True)]
        else:
            items = [", ".join(f"{value:.4g}" for value in row) for row in self.result[:LISTED].tolist()]
        more = f", and {len(self) - LISTED} more" if len(self) > LISTED else ""
        return f"Predictions of {len(self)} networks: {'; '.join(items)}{more}"


@torch.no_grad()
def predict(
    task: Task | str | Path, networks: Networks, split: str | None = None, batch_size: int = 512
) -> Predictions:
    """Computes the predictions of a trained task in evaluation mode; the task is not changed.

    Args:
        task: a task with a head, or its checkpoint, or the folder of its run, whose best epoch is used.
        networks: networks of its architecture: a zoo, a split of one, or a batch.
        split: split of a zoo: "train", "val", "test" or "internal"; None: all its networks.
        batch_size: number of networks at a time, >= 1.

    Raises:
        ConfigError: ``task`` is of another type, its checkpoint is missing or cannot be loaded, it has no head or was
            not trained, or it was trained in another fold of the zoo whose test objects are asked for.
        SpecError: the networks have another architecture or type, or ``split`` was given for something else than a
            zoo.
        ZooError: the split is unknown.
    """
    if not isinstance(task, Task | str | Path):
        raise ConfigError(
            f"task must be a trained task, its checkpoint, or the folder of its run, found {type(task).__name__}"
        )
    task = task if isinstance(task, Task) else load_task(task)
    name = type(task).__name__
    if task.head is None and task.predicted is None:
        raise ConfigError(
            f"{name} has no head, so that it predicts nothing: embed(task.encoder, networks) gives vectors"
        )
    if task.predicted is None or task.built_for is None:
        raise ConfigError(f"{name} was not trained yet: fit it, or give a checkpoint or the folder of a run")
    if split == "test" and isinstance(networks, Zoo):
        check_unseen(networks, task.trained_on, f"this {name}")
    parts = batches_of(networks, split, batch_size)
    with evaluating(task):
        returned = [task.predict_step(part.to(task.device), number) for number, part in enumerate(parts)]
    return joined(returned, name, task.predicted, placed=False)


def load_task(path: str | Path) -> Task:
    """Loads the task of a checkpoint, or of a run's folder: of the best epoch, or the last if there was no validation.

    Raises:
        ConfigError: there is no checkpoint, or it cannot be loaded.
    """
    path = Path(path)
    if path.is_dir():
        folder = RunFolder(path)
        best = folder.checkpoints / "best.ckpt"
        found = [best] if best.is_file() else folder.steps()
        if not found:
            raise ConfigError(f"{path} contains no checkpoint of a run: expected {best}")
        path = found[-1]
    return Task.load_from_checkpoint(path)


def joined(
    returned: Any, task: str, target: Target, device: torch.device | str = "cpu", placed: bool = True
) -> Predictions:
    """Combines the results of ``predict_step`` of all batches and processes.

    Args:
        returned: results of ``predict_step``, one per batch.
        task: name of the task, for messages.
        target: kind and names of the predicted target.
        device: device of the run, for communication between processes.
        placed: whether objects and views of the networks are known.

    Raises:
        ConfigError: the results do not have the form of predictions.
    """
    batches = returned if isinstance(returned, list) else []
    kinds = [check_prediction(batch, task, len(target.names), placed) for batch in batches]
    if not batches:
        raise ConfigError(f"{task}.predict_step has returned nothing: it should return {EXPECTED}")
    if (kinds[0] == "probability") != (target.kind == "class"):
        raise ConfigError(f"{task}.predict_step should return {EXPECTED}, found {kinds[0]} of {target}")

    def whole(name: str) -> Tensor | None:
        parts = [batch.get(name) for batch in batches]
        return gather(torch.cat(parts).to(device))[0].cpu() if isinstance(parts[0], Tensor) else None

    result = whole(kinds[0])
    assert result is not None
    return Predictions(target, result, whole("object"), whole("view"))


def check_prediction(returned: Any, task: str, names: int, placed: bool = True) -> str:
    """Checks a result of ``predict_step`` and returns which of ``KINDS`` it contains.

    Args:
        returned: result for one batch.
        task: name of the task, for messages.
        names: number of classes or numbers of the target.
        placed: whether objects and views of the networks are known.

    Raises:
        ConfigError: the results do not have the form of predictions.

    >>> import torch
    >>> one = torch.zeros(1)
    >>> check_prediction({"object": one, "view": one, "probability": torch.ones(1, 3) / 3}, "MyTask", names=3)
    'probability'
    """
    kinds = [kind for kind in KINDS if isinstance(returned, dict) and kind in returned]
    columns = ("object", "view") if placed else ()
    tensors = [returned.get(name) for name in (*columns, *kinds)] if kinds else []
    if len(kinds) != 1 or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise ConfigError(f"{task}.predict_step should return {EXPECTED}, found {_described(returned)}")
    *identity, result = tensors
    shape = (len(result), names)
    if tuple(result.shape) != shape or any(tuple(one.shape) != shape[:1] for one in identity):
        raise ConfigError(
            f"{task}.predict_step should return {EXPECTED}, with {names} columns, found {_described(returned)}"
        )
    return kinds[0]


def _described(value: Any) -> str:
    """Describes a value in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, dict):
        return f"a dict with {', '.join(f'{name} ({_described(item)})' for name, item in value.items()) or 'nothing'}"
    return f"{type(value).__name__}"
