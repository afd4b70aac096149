"""Training tasks: classifying, predicting numbers, fine-tuning, pretraining, editing; with losses and metrics."""

from weightspace.tasks.base import Task
from weightspace.tasks.contrastive import ContrastiveTask
from weightspace.tasks.edit import EditTask
from weightspace.tasks.finetune import FineTuneTask
from weightspace.tasks.prediction import Predictions, predict
from weightspace.tasks.reconstruction import ReconstructionTask
from weightspace.tasks.regression import RegressionTask
from weightspace.tasks.supervised import SupervisedTask

__all__ = [
    "ContrastiveTask",
    "EditTask",
    "FineTuneTask",
    "Predictions",
    "ReconstructionTask",
    "RegressionTask",
    "SupervisedTask",
    "Task",
    "predict",
]
