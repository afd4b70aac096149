"""Whether there is anything to train."""

from __future__ import annotations

import lightning.pytorch as pl

from weightspace.errors import ConfigError


def check_work(trainer: pl.Trainer) -> None:
    """Refuses a fit of no epochs, steps or batches, which would leave a run without a trained model.

    Raises:
        ConfigError: names the option.
    """
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if getattr(trainer, name) == 0:
            raise ConfigError(f"trainer.{name} is 0: nothing would be trained. Take at least 1, or leave it out")
