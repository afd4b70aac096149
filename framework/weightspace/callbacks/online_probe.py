"""Evaluating frozen embeddings with classifiers, while the encoder is trained without labels."""

from __future__ import annotations

from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from weightspace.backbones.base import Backbone
from weightspace.backbones.embedding import embed
from weightspace.batch import WeightBatch
from weightspace.checks import check_sizes
from weightspace.data import ZooDataModule
from weightspace.errors import MissingExtraError
from weightspace.figures.images import decoded_images
from weightspace.runs.loops import set_metrics
from weightspace.tasks import Task
from weightspace.text import call_text, shown

#: Metrics that ``OnlineProbe`` logs.
METRICS = ("val/knn_accuracy", "val/linear_accuracy")


class OnlineProbe(Callback):
    """Logs ``val/knn_accuracy`` and ``val/linear_accuracy``: accuracies on the validation networks (the first view of
    each object, not augmented) of classifiers on embeddings of training networks. At the end, the validation embeddings
    are written to TensorBoard's projector, with decoded networks as thumbnails.

    Args:
        every_n_epochs: number of epochs between evaluations, >= 1; the end of training is always evaluated.
        neighbours: number of neighbours k of the k-nearest-neighbours classifier, >= 1.
        limit: largest number of training networks, >= 1.

    Raises:
        ConfigError: a value is out of range.
        MissingExtraError: scikit-learn is not installed.
    """

    __repr__ = call_text

    def __init__(self, every_n_epochs: int = 5, neighbours: int = 10, limit: int = 5_000) -> None:
        check_sizes("OnlineProbe", every_n_epochs=every_n_epochs, neighbours=neighbours, limit=limit)
        self.every_n_epochs, self.neighbours, self.limit = every_n_epochs, neighbours, limit
        self._probed: int | None = None  # the step at which it was last evaluated
        try:
            import sklearn  # noqa: F401 - raised before training, not after its first epochs
        except ImportError as error:
            raise MissingExtraError("scikit-learn", "data", "probing embeddings") from error

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the accuracies in every nth epoch and the last one, if it is known to be that."""
        if trainer.sanity_checking:
            return
        epoch = trainer.current_epoch + 1
        last = epoch == trainer.max_epochs or trainer.global_step == trainer.max_steps
        if not last and epoch % self.every_n_epochs:
            set_metrics(trainer, dict.fromkeys(METRICS))  # those of an earlier epoch
            return
        for name, score in self._evaluate(trainer, pl_module).items():
            pl_module.log(name, score, sync_dist=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the accuracies where training was ended by its time or a callback, which no validation knows."""
        if self._probed == trainer.global_step or not sum(trainer.num_val_batches):
            return
        scores = self._evaluate(trainer, pl_module)
        set_metrics(trainer, scores)
        for logger in trainer.loggers:
            logger.log_metrics(scores, trainer.global_step)

    def _evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """Fits both classifiers, identically in every process; empty where there is nothing to classify."""
        self._probed, data = trainer.global_step, cast(Any, trainer).datamodule
        if not isinstance(data, ZooDataModule) or data.class_names is None:
            return {}
        train, val = data.training_batches(self.limit), data.evaluation_batches("val", self.limit)
        if not any(map(len, val)):
            return {}
        known, tried = (_labelled(cast(Task, pl_module).encoder, batches) for batches in (train, val))
        if not (known[0].isfinite().all() and tried[0].isfinite().all()):
            return {}  # reported by ``FiniteResults``
        return {f"val/{name}_accuracy": score for name, score in probe(known, tried, self.neighbours).items()}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the validation embeddings to TensorBoard's projector."""
        data, logger = cast(Any, trainer).datamodule, trainer.logger
        of_a_zoo = isinstance(data, ZooDataModule)
        if not of_a_zoo or not trainer.is_global_zero or not isinstance(logger, TensorBoardLogger):
            return
        batch = data.evaluation_batch("val", 1_000)
        encoder = cast(Task, pl_module).encoder
        if not len(batch) or data.class_names is None:
            return
        names = [shown(data.class_names[int(label)]) for label in batch.targets]
        pictures = decoded_images(batch, 16, data.zoo.value_range) if data.spec.coordinates == 2 else None
        logger.experiment.add_embedding(embed(encoder, batch), names, pictures, trainer.global_step, "embedding")


def probe(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], neighbours: int = 10) -> dict[str, float]:
    """Computes the accuracies "knn" (cosine) and "linear" (logistic regression) of embeddings (n, D) with classes (n,).

    Args:
        train: embeddings and classes to which the classifiers are fitted.
        test: embeddings and classes with which they are evaluated.
        neighbours: number of neighbours; fewer if there are fewer training networks.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    one_class = len(train[1].unique()) == 1  # the only possible prediction
    linear = DummyClassifier() if one_class else LogisticRegression(C=0.1, max_iter=1_000)
    classifiers = {
        "knn": KNeighborsClassifier(min(neighbours, len(train[0])), metric="cosine"),
        "linear": make_pipeline(StandardScaler(), linear),
    }
    (x, y), (u, v) = ((part.cpu().numpy() for part in pair) for pair in (train, test))
    return {name: float(classifier.fit(x, y).score(u, v)) for name, classifier in classifiers.items()}


def _labelled(encoder: Backbone, batches: list[WeightBatch]) -> tuple[Tensor, Tensor]:
    """(n, D) embeddings and (n,) classes of all networks."""
    classes = [batch.targets for batch in batches if batch.targets is not None]
    return torch.cat([embed(encoder, batch) for batch in batches]), torch.cat(classes)
