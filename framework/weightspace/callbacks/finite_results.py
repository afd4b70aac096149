"""Handling results that are not finite in validation, test and prediction."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch import Callback
from rich.console import Console
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from weightspace.batch import WeightBatch
from weightspace.distributed import in_any_process
from weightspace.errors import NonFiniteError
from weightspace.runs.folder import RunFolder
from weightspace.runs.stopping import end_together
from weightspace.tasks import Task
from weightspace.text import call_text

#: Number of networks that a message names.
NAMED = 5


class FiniteResults(Callback):
    """Checks the results of each batch outside training, so that metrics do not silently become NaN.

    A result that is not finite, in any process, stops the run with ``NonFiniteError``; or, with "skip", it is reported,
    left out of the metrics of a ``Task``, and counted (``val/left_out``, ``test/left_out``). In both cases each process
    writes the networks to ``nonfinite/<stage>-step-<step>-<count>-process-<rank>.json``.

    Args:
        folder: folder of the run.
        nonfinite: "stop" or "skip", see ``FiniteSteps``.
    """

    __repr__ = call_text

    def __init__(self, folder: RunFolder, nonfinite: str = "stop") -> None:
        self.folder, self.nonfinite = folder, nonfinite
        self._hook: RemovableHandle | None = None
        self._seen: Counter[str] = Counter()
        self._count = 0

    def _watch(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        def look(module: Any, arguments: tuple[Any, ...], result: Any) -> None:
            if arguments and isinstance(arguments[0], WeightBatch) and isinstance(result, Tensor):
                self._look(trainer, arguments[0], result)

        self._seen.clear()
        self._count = 0
        if isinstance(pl_module, Task):
            pl_module.leaves_out = self.nonfinite == "skip"
        self._hook = pl_module.register_forward_hook(look)

    def _leave(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the number of networks that were left out, if there are any."""
        self._log(pl_module, "val/left_out")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the number of networks that were left out, if there are any."""
        self._log(pl_module, "test/left_out")

    def _log(self, pl_module: pl.LightningModule, name: str) -> None:
        if self._seen and isinstance(pl_module, Task):  # the same in all processes
            pl_module.log(name, float(self._count), reduce_fx="sum", sync_dist=True)

    on_validation_start = on_test_start = on_predict_start = _watch
    on_validation_end = on_test_end = on_predict_end = _leave

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Removes the hook from the model."""
        self._leave(trainer, pl_module)

    def _look(self, trainer: pl.Trainer, batch: WeightBatch, result: Tensor) -> None:
        # during Lightning's sanity check, some processes of a run may have no batches
        bad = not bool(result.isfinite().all())
        if in_any_process(bad, result.device):
            self._answer(trainer, batch, result)

    def _answer(self, trainer: pl.Trainer, batch: WeightBatch, result: Tensor) -> None:
        stage = str(cast(Any, trainer).state.stage.value).replace("sanity_check", "validate")
        self._seen[stage] += 1
        rows = (~result.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
        found = [(_number(batch.objects, row), _number(batch.views, row)) for row in rows if row < len(batch)]
        found = found if batch.objects is None else list(dict.fromkeys(found))  # pairs may repeat one
        networks = [{"object": item, "view": view} for item, view in found]
        self._count += len(networks)
        number = f"step-{trainer.global_step:08d}-{self._seen[stage]}"
        name = f"nonfinite/{stage}-{number}-process-{trainer.global_rank}.json"
        self.folder.write_json(name, {"step": trainer.global_step, "stage": stage, "networks": networks})
        message = self._message(trainer, stage, batch, networks, name)
        if self.nonfinite == "stop":
            hint = "Train with a lower learning rate, or leave these networks out of the metrics (--nonfinite skip)"
            end_together(trainer, NonFiniteError(f"{message}. {hint}"))
        if self._seen[stage] == 1:
            Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"not finite: {message}")

    def _message(
        self, trainer: pl.Trainer, stage: str, batch: WeightBatch, networks: list[dict[str, int | None]], name: str
    ) -> str:
        """What is not finite, of how many networks, and whether their own weights are."""
        places = ", ".join(f"object {n['object']} view {n['view']}" for n in networks[:NAMED])
        more = f" and {len(networks) - NAMED} more" if len(networks) > NAMED else ""
        what = f"the results of {len(networks)} networks are not finite ({places}{more})"
        weights = "it is the model that makes NaN or infinity of them, since the weights of all networks are finite"
        if not batch.params.isfinite().all():
            weights = "weights of these networks, or of others in the batch, are NaN or infinite themselves"
        return (
            f"{stage}: {what if networks else 'results in another process are not finite'}, after step "
            f"{trainer.global_step}: {weights}. They are listed in {self.folder.path / name}"
        )


def _number(numbers: Tensor | None, row: int) -> int | None:
    return None if numbers is None else int(numbers[row])
