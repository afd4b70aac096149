"""Small classifiers trained with random hyperparameters: networks that are not INRs; the target is their accuracy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.checks import check_whole
from weightspace.errors import MissingExtraError, SourceError, closest
from weightspace.network import evaluate
from weightspace.sources.base import MOST_OBJECTS, Objects
from weightspace.sources.log_uniform import log_uniform

#: scikit-learn's own sets that are real and small.
DATA = ("digits", "wine", "breast_cancer", "iris")


@dataclass(frozen=True)
class Hyperparameters:
    """How one classifier is trained.

    Args:
        learning_rate: of AdamW.
        weight_decay: of AdamW, on all parameters.
        steps: share of the recipe's steps that it is trained for, in (0, 1].
        samples: share of the training samples that it sees, in (0, 1].
        label_noise: share of these whose label is replaced by a random one, in [0, 1].
        init_scale: factor of the recipe's initialisation.
    """

    learning_rate: float
    weight_decay: float
    steps: float
    samples: float
    label_noise: float
    init_scale: float


class ClassifierSource(Objects):
    """Training runs: object i is the i-th draw of hyperparameters; its views differ in initialisation.

    Args:
        data: one of ``DATA``.
        count: how many objects there are.
        seed: of the hyperparameters.

    Attributes:
        features: (n, F) float32, standardised by the training samples; the training samples come first.
        labels: (n,) int64.
        train_samples: how many of them are for training (two thirds), the others are the test.
    """

    name = "classifiers"
    class_names = None
    target_names = ("test accuracy",)

    def __init__(self, features: np.ndarray, labels: np.ndarray, data: str, count: int, seed: int) -> None:
        self.arguments: dict[str, Any] = {"data": data, "count": count, "seed": seed}
        order = np.random.default_rng(0).permutation(len(labels))
        self.train_samples = 2 * len(labels) // 3
        ordered = features[order]
        known = ordered[: self.train_samples]
        scale = np.where(known.std(0) > 0, known.std(0), 1)
        self.features = torch.from_numpy(((ordered - known.mean(0)) / scale).astype(np.float32))
        self.labels = torch.from_numpy(labels[order].astype(np.int64))
        self.num_train, self.seed = count, seed
        self.in_dim, self.out_dim = features.shape[1], int(labels.max()) + 1

    def __len__(self) -> int:
        return self.num_train

    @property
    def test_samples(self) -> int:
        """Number of samples on which test accuracies are measured."""
        return len(self.labels) - self.train_samples

    @cached_property
    def digest(self) -> str:
        """sha256 of the samples and the arguments."""
        content = hashlib.sha256(repr(sorted(self.arguments.items())).encode())
        content.update(self.features.numpy().tobytes() + self.labels.numpy().tobytes())
        return content.hexdigest()

    def hyperparameters(self, item: int) -> Hyperparameters:
        """Hyperparameters of an object: learning rate, decay, steps and scale are log-uniform, shares uniform."""
        rng = np.random.default_rng((self.seed, item, 0))
        return Hyperparameters(
            learning_rate=log_uniform(rng, 3e-4, 3e-2),
            weight_decay=log_uniform(rng, 1e-3, 1.0),
            steps=log_uniform(rng, 0.05, 1.0),
            samples=float(rng.uniform(0.05, 1.0)),
            label_noise=float(rng.uniform(0.0, 0.5)),
            init_scale=log_uniform(rng, 0.3, 2.0),
        )

    def training_set(self, item: int, view: int) -> tuple[Tensor, Tensor]:
        """(train_samples,) labels with their noise, and weights: 1 for the samples that are seen, 0 for others."""
        rng, hyperparameters = np.random.default_rng((self.seed, item, view, 1)), self.hyperparameters(item)
        labels = self.labels[: self.train_samples].clone()
        wrong = torch.from_numpy(rng.random(len(labels)) < hyperparameters.label_noise)
        labels[wrong] = torch.from_numpy(rng.integers(0, self.out_dim, int(wrong.sum())))
        seen = torch.zeros(len(labels))
        seen[torch.from_numpy(rng.permutation(len(labels))[: max(1, round(hyperparameters.samples * len(labels)))])] = 1
        return labels, seen

    def accuracies(self, batch: WeightBatch) -> Tensor:
        """(B, 2) accuracy on the test samples, and on the training samples with their true labels."""
        right = evaluate(batch, self.features).argmax(2) == self.labels
        return torch.stack(
            [part.float().mean(1) for part in (right[:, self.train_samples :], right[:, : self.train_samples])], 1
        )


def classifiers(data: str = "digits", count: int = 100_000, seed: int = 0) -> ClassifierSource:
    """Makes the source, see ``ClassifierSource``. No own test set.

    Raises:
        SourceError: a value out of range.
        MissingExtraError: scikit-learn is not installed.
    """
    if not isinstance(data, str) or data not in DATA:
        raise SourceError(f"source 'classifiers': unknown data {data!r}: {closest(str(data), DATA)}")
    count = check_whole("source 'classifiers': count", count, 1, MOST_OBJECTS, SourceError)
    seed = check_whole("source 'classifiers': seed", seed, 0, 2**63 - 1, SourceError)
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "data", "the source 'classifiers'") from error
    found = getattr(datasets, f"load_{data}")()
    return ClassifierSource(found.data, found.target, data, count, seed)
