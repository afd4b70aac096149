"""The loader of batches, which knows where in the training it stands."""

from __future__ import annotations

from typing import Any, cast

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from weightspace.errors import ConfigError
from weightspace.sampling import BatchSampler, ZooDataset


class ZooLoader(DataLoader[Any]):
    """Loads the batches of a sampler, whole, and goes on in the middle of an epoch.

    Lightning keeps its state in checkpoints. The position is that of the trainer, the batches that were trained on:
    one that counts what the sampler handed out would count what worker processes fetched in advance, too.

    Args:
        dataset: of the networks.
        trainer: whose position is saved; None outside of training.
        **options: of torch's DataLoader; the sampler is a ``BatchSampler``.
    """

    def __init__(self, dataset: ZooDataset, trainer: pl.Trainer | None = None, **options: Any) -> None:
        super().__init__(dataset, **options)
        self.trainer = trainer

    def state_dict(self) -> dict[str, int]:
        """The epoch, how many of its batches were trained on, and of how many."""
        if self.trainer is None:
            return {}
        epoch, whole = self.trainer.current_epoch, len(self)
        if self.trainer.is_last_batch:
            return {"epoch": epoch + 1, "batch": 0, "batches": whole}
        done = cast(Any, self.trainer.fit_loop.epoch_loop.batch_progress.current).processed
        return {"epoch": epoch, "batch": done, "batches": whole}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next pass one over the rest of that epoch.

        Raises:
            ConfigError: the checkpoint stands in the middle of an epoch of another length.
        """
        if not state:
            return
        if state["batch"] and state["batches"] != len(self):
            raise ConfigError(
                f"the checkpoint stands after batch {state['batch']} of {state['batches']} of an epoch, which now has "
                f"{len(self)}: go on with the same data options and number of processes, or from the end of an epoch"
            )
        cast(BatchSampler, self.sampler).go_on(state["epoch"], state["batch"])
