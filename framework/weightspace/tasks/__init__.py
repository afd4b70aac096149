"""Training tasks: classifying, predicting numbers, fine-tuning, contrastive pretraining, editing; losses, metrics."""

from weightspace.tasks.base import Task
from weightspace.tasks.contrastive import ContrastiveTask
from weightspace.tasks.edit import EditTask
from weightspace.tasks.finetune import FineTuneTask
from weightspace.tasks.prediction import Predictions, predict
from weightspace.tasks.regression import RegressionTask
from weightspace.tasks.supervised import SupervisedTask

__all__ = [
    "ContrastiveTask",
    "EditTask",
    "FineTuneTask",
    "Predictions",
    "RegressionTask",
    "SupervisedTask",
    "Task",
    "predict",
]
