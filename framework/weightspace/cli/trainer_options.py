"""Options and callbacks of Lightning's Trainer that cannot be used here, with the reason and what works instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback

from weightspace.errors import ConfigError

BY_TASK = "what is trained is built from the zoo, after this callback looks at it"
#: Class name of a callback, and why it is refused. All others of Lightning were tried, see docs/running.md.
REFUSED = {
    "BackboneFinetuning": f"{BY_TASK}: FineTuneTask with mode linear or frozen trains a part",
    "BaseFinetuning": "is the base of callbacks: name one that is derived from it",
    "LearningRateFinder": (
        "sets an attribute that the tasks do not have, as their rate follows a schedule over all steps: compare runs "
        "with several --model.init_args.learning_rate"
    ),
    "ModelPruning": f"{BY_TASK}: prune the weights of checkpoints/best.ckpt after training",
    "SpikeDetection": "lacks attributes of a callback in this version of Lightning: --nonfinite stop watches the loss",
}


def check_trainer(options: Mapping[str, Any]) -> None:
    """Raises ConfigError where options or callbacks of the trainer cannot work with a run of this command line.

    Args:
        options: the trainer's, with objects where the configuration names classes.
    """
    if options.get("barebones"):
        raise ConfigError(
            "trainer.barebones switches off what a run leaves behind (checkpoints, metrics, logs): for raw speed take "
            "a lightning.Trainer(barebones=True) in Python, with the same task and data"
        )
    given = options.get("callbacks") or []
    callbacks: Sequence[Callback] = given if isinstance(given, list) else [given]
    for callback in callbacks:
        for cls in type(callback).__mro__:
            if (
                cls.__name__ in REFUSED
                and cls.__module__.startswith("lightning.")
                and (cls is type(callback) or cls.__name__ != "BaseFinetuning")
            ):
                raise ConfigError(f"trainer.callbacks: {cls.__name__} {_reason(cls.__name__)}")


def _reason(name: str) -> str:
    reason = REFUSED[name]
    return f"cannot be used: {reason}" if reason.startswith(BY_TASK) else reason
