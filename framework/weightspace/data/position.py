"""What a checkpoint knows of the data: where in an epoch its run was, and the splits that it was trained on."""

from __future__ import annotations

import hashlib
from typing import Any

import lightning.pytorch as pl

from weightspace.data.folds import dealt_objects
from weightspace.data.mixture import Mixture, Networks, zoos_of
from weightspace.errors import ConfigError
from weightspace.runs.loops import batches_before
from weightspace.zoo.alignment.store import ZooAlignment
from weightspace.zoo.making import making_of


class EpochPosition:
    """Finds the batch that a resumed run begins with, and checks that batches are those of the checkpoint.

    Args:
        zoo: that the batches come from, or several.
        alignment: the stored alignment that the augmentations use; None: they use none.

    Attributes:
        length: training batches per epoch in this run; None before there is a loader.
    """

    def __init__(self, zoo: Networks, alignment: ZooAlignment | None) -> None:
        self.zoo, self.alignment = zoo, alignment
        self.length: int | None = None
        self._saved_length: int | None = None
        self._saved_alignment: str | None = None
        self._splits = hashlib.sha256(zoo.splits.numpy().tobytes()).hexdigest()
        self._making = " ".join(making_of(part.header) for part in zoos_of(zoo))
        self._fold = None if isinstance(zoo, Mixture) or zoo.fold is None else [*zoo.fold, dealt_objects(zoo)]

    def first_batch(self, trainer: pl.Trainer | None) -> int:
        """Number of batches of this epoch that were trained on before the run was resumed.

        Args:
            trainer: of this run; None: batches are loaded without one, from the first.

        Raises:
            ConfigError: the checkpoint is of a run with another alignment, or with other batches within an epoch.
        """
        done = 0 if trainer is None else batches_before(trainer)
        if self._saved_alignment and self.alignment and self._saved_alignment != self.alignment.digest:
            raise ConfigError(
                f"the checkpoint is of a run with another alignment {self.alignment.name!r} of {self.zoo.path}: make "
                "that one again, or begin the run again (overwrite: true)"
            )
        if done and self._saved_length != self.length:
            raise ConfigError(
                f"the checkpoint was saved after batch {done} of {self._saved_length} of an epoch, which now has "
                f"{self.length}: resume with the same data options and number of processes, or from a checkpoint "
                "at the end of an epoch"
            )
        return done

    def state_dict(self) -> dict[str, Any]:
        """Returns the batches per epoch, without which a position in one means nothing, splits and alignment."""
        used = {} if self.alignment is None else {"alignment": self.alignment.digest}
        of_zoo = {"zoo": self.zoo.digest, "making": self._making, "fold": self._fold}
        return {"length": self.length, **of_zoo, "splits": self._splits, **used}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Reads the same from a checkpoint, for comparison with this run.

        Raises:
            ConfigError: the checkpoint is of a run with other splits of the same zoo, or in another fold of a zoo that
                was made in the same way.
        """
        if self._divided_otherwise(state_dict):
            raise ConfigError(
                f"the checkpoint is of a run with other splits of {self.zoo.path}, which may have trained on what is "
                "tested here: give the data.folds and data.fold of that run"
            )
        self._saved_length, self._saved_alignment = state_dict["length"], state_dict.get("alignment")

    def _divided_otherwise(self, saved: dict[str, Any]) -> bool:
        if saved.get("zoo") == self.zoo.digest:
            return bool(saved["splits"] != self._splits)
        # made again, its networks have other last bits, and its objects are the same unless other fits have failed
        before, now = saved.get("fold"), self._fold
        if before is not None and now is not None:
            now = now[: len(before)]  # earlier versions do not know the objects
        return bool(saved.get("making") == self._making and before != now)
