"""Training tasks: classification, regression, fine-tuning and contrastive pretraining, with losses and metrics."""

from weightspace.tasks.base import Task
from weightspace.tasks.contrastive import ContrastiveTask
from weightspace.tasks.finetune import FineTuneTask
from weightspace.tasks.prediction import Predictions, predict
from weightspace.tasks.regression import RegressionTask
from weightspace.tasks.supervised import SupervisedTask

__all__ = [
    "ContrastiveTask",
    "FineTuneTask",
    "Predictions",
    "RegressionTask",
    "SupervisedTask",
    "Task",
    "predict",
]
