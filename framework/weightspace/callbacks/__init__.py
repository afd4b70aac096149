"""Lightning callbacks of a run: checkpoints, seeds, checks, provenance, metrics and pictures.

Public is ``standard_callbacks``; all else may change in any release.
"""

from weightspace.callbacks.assignment_solver import AssignmentSolver
from weightspace.callbacks.best_checkpoint import BestCheckpoint
from weightspace.callbacks.checkpoints import Checkpoints
from weightspace.callbacks.class_tables import ClassTables
from weightspace.callbacks.encoder_file import EncoderFile
from weightspace.callbacks.epoch_lines import EpochBar, EpochLines
from weightspace.callbacks.finite_results import FiniteResults
from weightspace.callbacks.finite_steps import FiniteSteps
from weightspace.callbacks.hyperparameters import Hyperparameters
from weightspace.callbacks.monitor_check import MonitorCheck
from weightspace.callbacks.online_probe import OnlineProbe
from weightspace.callbacks.pictures import Pictures
from weightspace.callbacks.provenance import Provenance
from weightspace.callbacks.run_end import RunEnd
from weightspace.callbacks.run_start import RunStart
from weightspace.callbacks.run_trainer import RunTrainer
from weightspace.callbacks.standard import run_logger, standard_callbacks
from weightspace.callbacks.step_seeds import StepSeeds
from weightspace.callbacks.throughput import Throughput

__all__ = [
    "AssignmentSolver",
    "BestCheckpoint",
    "Checkpoints",
    "ClassTables",
    "EncoderFile",
    "EpochBar",
    "EpochLines",
    "FiniteResults",
    "FiniteSteps",
    "Hyperparameters",
    "MonitorCheck",
    "OnlineProbe",
    "Pictures",
    "Provenance",
    "RunEnd",
    "RunStart",
    "RunTrainer",
    "StepSeeds",
    "Throughput",
    "run_logger",
    "standard_callbacks",
]
