"""Small convolutional networks trained on images with random hyperparameters (Unterthiner et al., arXiv 2002.11448)."""

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
from weightspace.errors import SourceError, closest
from weightspace.network import evaluate
from weightspace.sources.base import MOST_OBJECTS, Objects, load_source
from weightspace.sources.image_source import ImageSource
from weightspace.sources.log_uniform import log_uniform

#: Sources of images that are classified.
DATA = ("fashion-mnist", "mnist-5k", "digits", "cifar10")
OPTIMISERS = ("sgd", "adam", "rmsprop")
#: What is predicted of a network: its accuracy on test images, how much lower that is than on training images, or both.
ACCURACY, GAP = "test accuracy", "generalization gap"
TARGETS = {"accuracy": (ACCURACY,), "gap": (GAP,), "both": (ACCURACY, GAP)}
#: Share of the training after which each view is taken: view 0 is the trained network.
CHECKPOINTS = (1.0, 0.5, 0.2)
#: Images on which accuracies are measured, and how many are evaluated at a time.
MEASURED, AT_A_TIME = 2_000, 50


@dataclass(frozen=True)
class Training:
    """Hyperparameters of one training.

    Args:
        optimiser: one of ``OPTIMISERS``: with momentum 0.9, with betas 0.9 and 0.999, or with decay 0.99.
        learning_rate: constant.
        weight_decay: added to the gradient, times the parameters.
        dropout: rate at which the averaged features before the last layer are dropped, in [0, 1).
        fraction: share of the training images that it sees, in (0, 1].
        init_scale: factor of the recipe's initialisation.
    """

    optimiser: str
    learning_rate: float
    weight_decay: float
    dropout: float
    fraction: float
    init_scale: float

    def numbers(self) -> list[float]:
        """All of them as numbers, in the order of ``NAMES``."""
        others = (self.learning_rate, self.weight_decay, self.dropout, self.fraction, self.init_scale)
        return [float(OPTIMISERS.index(self.optimiser)), *others]


#: Names of the hyperparameters as columns of a zoo.
NAMES = ("optimiser", "learning rate", "weight decay", "dropout", "fraction", "init scale")


class CNNSource(Objects):
    """Trainings: object i is the i-th draw of hyperparameters, its views are checkpoints, of which view 0 is the last.

    Args:
        images: the source of the images.
        count: how many objects there are.
        seed: of the hyperparameters and the order of the images.
        target: one of ``TARGETS``.
        arguments: what ``load_source`` was called with.

    Attributes:
        pixels, labels: (n, C, H, W) uint8 and (n,) int64, training images first.
        train_images: number of training images; the others are for the test.
    """

    name = "cnns"
    class_names = None
    most_views = len(CHECKPOINTS)
    codes = {"optimiser": list(OPTIMISERS)}  # noqa: RUF012

    def __init__(self, images: ImageSource, count: int, seed: int, target: str, arguments: dict[str, Any]) -> None:
        self.arguments, self.num_train, self.seed, self.target = arguments, count, seed, target
        self.target_names = TARGETS[target]
        train, test = _divided(images)
        rows = np.concatenate([train, test])
        self.pixels = torch.from_numpy(images.images[rows]).movedim(3, 1).contiguous()
        self.labels = torch.from_numpy(images.labels[rows].astype(np.int64))
        self.train_images = len(train)
        known = self.pixels[: self.train_images].float() / images.levels
        self.mean, self.deviation, self.levels = float(known.mean()), float(known.std()), images.levels
        self.in_dim, self.out_dim = self.pixels.shape[1], len(images.class_names)
        self._images = images.digest

    def __len__(self) -> int:
        return self.num_train

    @property
    def test_samples(self) -> int:
        """Number of images on which test accuracies are measured."""
        return len(self.labels) - self.train_images

    @cached_property
    def digest(self) -> str:
        """sha256 of the images and the arguments."""
        return hashlib.sha256(repr((self._images, self.num_train, self.seed, self.target)).encode()).hexdigest()

    def training(self, item: int) -> Training:
        """Hyperparameters of an object; rates, decay and scale are log-uniform."""
        rng = np.random.default_rng((self.seed, item, 0))
        optimiser = OPTIMISERS[int(rng.integers(len(OPTIMISERS)))]
        return Training(
            optimiser=optimiser,
            learning_rate=log_uniform(rng, 1e-3, 0.3) if optimiser == "sgd" else log_uniform(rng, 1e-4, 3e-2),
            weight_decay=log_uniform(rng, 1e-8, 1e-2),
            dropout=float(rng.uniform(0.0, 0.7)),
            fraction=float(rng.choice([0.1, 0.25, 0.5, 1.0])),
            init_scale=log_uniform(rng, 0.3, 2.0),
        )

    def order(self, item: int, steps: int, size: int) -> np.ndarray:
        """(steps, size) numbers of the training images of each step: its share of them, again and again, shuffled."""
        rng = np.random.default_rng((self.seed, item, 1))
        share = max(size, round(self.training(item).fraction * self.train_images))
        own = rng.permutation(self.train_images)[:share]
        rounds = -(-steps * size // len(own))
        return np.concatenate([rng.permutation(own) for _ in range(rounds)])[: steps * size].reshape(steps, size)

    def kept(self, item: int, steps: int, size: int, features: int) -> Tensor:
        """(steps, size, features) bool: which features dropout keeps in each step."""
        state = int(np.random.SeedSequence((self.seed, item, 2)).generate_state(1)[0])
        generator = torch.Generator().manual_seed(state)
        return torch.rand(steps, size, features, generator=generator) >= self.training(item).dropout

    def inputs(self, rows: Tensor) -> Tensor:
        """(..., C, H, W) float32 standardised images with these numbers (...)."""
        pixels = self.pixels[rows.flatten()].unflatten(0, rows.shape).float()
        return (pixels / self.levels - self.mean) / self.deviation

    def accuracies(self, batch: WeightBatch) -> Tensor:
        """(B, 2) accuracies on up to 2,000 test images, and on as many of all training images.

        A network has seen its ``fraction`` of these alone, so that the images are the same for all networks.
        """
        parts = range(self.train_images, len(self.labels)), range(min(MEASURED, self.train_images))
        return torch.stack([self._accuracy(batch, torch.tensor(part)) for part in parts], dim=1)

    def _accuracy(self, batch: WeightBatch, rows: Tensor) -> Tensor:
        right = [
            (evaluate(batch, self.inputs(some).to(batch.device)).argmax(2).cpu() == self.labels[some]).sum(1)
            for some in rows.split(AT_A_TIME)
        ]
        return torch.stack(right).sum(0) / len(rows)


def _divided(images: ImageSource) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the training images and of up to 2,000 test images: of the source's own test set, if it has one."""
    if images.num_test:
        return np.arange(images.num_train), np.arange(len(images) - images.num_test, len(images))[:MEASURED]
    order = np.random.default_rng(0).permutation(len(images))
    test = min(MEASURED, 2 * len(images) // 5)
    return order[test:], order[:test]


def cnns(
    data: str = "fashion-mnist", count: int = 100_000, seed: int = 0, target: str = "accuracy", path: str | None = None
) -> CNNSource:
    """Makes the source, see ``CNNSource``.

    Args:
        data: one of ``DATA``.
        count: how many trainings there are.
        seed: of the hyperparameters and the order of the images.
        target: "accuracy" on test images, the "gap" to that on training images (whichever of them a network has seen),
            or "both".
        path: folder of the images' files, if their source needs one.

    Raises:
        SourceError: a value out of range, or the images are missing.
    """
    for name, value, known in (("data", data, DATA), ("target", target, tuple(TARGETS))):
        if not isinstance(value, str) or value not in known:
            raise SourceError(f"source 'cnns': unknown {name} {value!r}: {closest(str(value), known)}")
    count = check_whole("source 'cnns': count", count, 1, MOST_OBJECTS, SourceError)
    seed = check_whole("source 'cnns': seed", seed, 0, 2**63 - 1, SourceError)
    images = load_source(data, **({} if path is None else {"path": path}))
    assert isinstance(images, ImageSource)
    arguments = {"data": data, "count": count, "seed": seed, "target": target}
    return CNNSource(images, count, seed, target, {**arguments, **({} if path is None else {"path": path})})
