"""Options and callbacks of Lightning's Trainer that are refused, with the reason and the alternative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from lightning.pytorch import Callback

from weightspace.errors import ConfigError
from weightspace.runs.loops import measures_processor

BY_TASK = "what is trained is built from the zoo, after this callback looks at it"
#: Class names of refused callbacks, with the reason. All others of Lightning were tested, see docs/running.md.
REFUSED = {
    "BackboneFinetuning": f"{BY_TASK}: FineTuneTask with mode linear or frozen trains a part",
    "BaseFinetuning": "is the base of callbacks: name one that is derived from it",
    "BasePredictionWriter": "is the base of callbacks: name one of yours that is derived from it, and writes",
    "ProgressBar": "is the base of callbacks: take TQDMProgressBar or RichProgressBar, or one of yours",
    "LearningRateFinder": (
        "sets an attribute that the tasks do not have, as their rate follows a schedule over all steps: compare runs "
        "with several --model.init_args.learning_rate"
    ),
    "ModelPruning": f"{BY_TASK}: prune the weights of checkpoints/best.ckpt after training",
    "SpikeDetection": "lacks attributes of a callback in this version of Lightning: --nonfinite stop watches the loss",
}


#: Base classes that are refused, while classes derived from them are permitted.
BASES = ("BaseFinetuning", "BasePredictionWriter", "ProgressBar")


def check_trainer(options: Mapping[str, Any]) -> None:
    """Raises ConfigError if options or callbacks of the trainer do not work with runs of the command line.

    Args:
        options: options of the trainer, with objects instead of the classes in the configuration.
    """
    if options.get("barebones"):
        raise ConfigError(
            "trainer.barebones switches off what a run leaves behind (checkpoints, metrics, logs): for raw speed take "
            "a lightning.Trainer(barebones=True) in Python, with the same task and data"
        )
    given = options.get("callbacks") or []
    callbacks: Sequence[Callback] = given if isinstance(given, list) else [given]
    for callback in callbacks:
        _check_psutil(callback, str(options.get("accelerator")))
        for cls in type(callback).__mro__:
            if (
                cls.__name__ in REFUSED
                and cls.__module__.startswith("lightning.")
                and (cls is type(callback) or cls.__name__ not in BASES)
            ):
                raise ConfigError(f"trainer.callbacks: {cls.__name__} {_reason(cls.__name__)}")


def _check_psutil(callback: Callback, accelerator: str) -> None:
    """Raises ConfigError if a callback measures CPU statistics without psutil."""
    if measures_processor(callback, accelerator) and find_spec("psutil") is None:
        raise ConfigError(
            "trainer.callbacks: DeviceStatsMonitor needs psutil, which is not installed: pip install psutil, or give "
            "it cpu_stats: false"
        )


def _reason(name: str) -> str:
    reason = REFUSED[name]
    return f"cannot be used: {reason}" if reason.startswith(BY_TASK) else reason
