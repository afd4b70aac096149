"""What ``runs/loops.py`` uses of Lightning is still there, and means what it meant."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.distributed as dist
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint, DeviceStatsMonitor, EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric
from weightspace.callbacks import RunTrainer
from weightspace.runs import loops

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*no last checkpoint available")

BATCHES = 4


class Line(pl.LightningModule):
    """One number, trained and validated on four batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.weight * batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/loss", (self.weight * batch).mean())

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(torch.ones(BATCHES, 1))

    val_dataloader = train_dataloader

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(*callbacks: Callback, cls: type[pl.Trainer] = pl.Trainer, **options: Any) -> pl.Trainer:
    quiet = {name: False for name in ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")}
    quiet |= {"enable_checkpointing": True} if any(isinstance(c, Checkpoint) for c in callbacks) else {}
    return cls(accelerator="cpu", callbacks=list(callbacks), **{"num_sanity_val_steps": 0, **quiet, **options})


class Foresight(Checkpoint):
    """Notes what is foretold after each step, and what comes."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.events: list[Any] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.stop_after:
            trainer.should_stop = True
        self.events.append((loops.epoch_ends(trainer), loops.validation_follows(trainer, batch_idx)))
        assert not loops.between_epochs(trainer)
        assert loops.epochs_done(trainer) == trainer.current_epoch

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.events.append("validation")

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.events.append("end")
        assert loops.between_epochs(trainer)
        assert loops.epochs_done(trainer) == trainer.current_epoch + 1


@pytest.mark.parametrize(
    ("options", "stop_after"),
    [
        ({"max_epochs": 2}, None),
        ({"max_steps": 6}, None),
        ({"max_epochs": 2, "val_check_interval": 2}, None),
        ({"max_epochs": 3, "val_check_interval": 3, "check_val_every_n_epoch": None}, None),
        ({"max_epochs": 3, "min_epochs": 2}, 1),
        ({"max_epochs": 3, "min_steps": 6}, 2),
    ],
)
def test_the_end_of_an_epoch_and_a_validation_are_foreseen(options: dict[str, Any], stop_after: int | None) -> None:
    seen = Foresight(stop_after)
    trainer(seen, **options).fit(Line())
    places = [place for place, event in enumerate(seen.events) if isinstance(event, tuple)]
    for place, following in zip(places, [*places[1:], len(seen.events)], strict=True):
        ends, validates = seen.events[place]
        assert ends == ("end" in seen.events[place:following])
        if not ends:
            assert validates == ("validation" in seen.events[place:following])
    assert seen.events.count("end") >= 2 or stop_after is not None


class Saves(Callback):
    """Saves after a step, and at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.folder / "within.ckpt")

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / "end.ckpt")


class Loader(DataLoader[Any]):
    """Asks where to begin when it does, as a loader of the data module does."""

    trainer: pl.Trainer

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.begun.append(loops.batches_before(self.trainer))
        yield from list(super().__iter__())[self.begun[-1] :]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def test_where_a_saved_run_stood_and_where_it_goes_on(tmp_path: Path) -> None:
    trainer(Saves(tmp_path), max_epochs=2).fit(Line())
    saved = [torch.load(tmp_path / name, weights_only=True) for name in ("within.ckpt", "end.ckpt")]
    assert [loops.saved_epochs(checkpoint) for checkpoint in saved] == [(0, False), (2, True)]
    loader, again = Loader(torch.ones(BATCHES, 1)), trainer(max_epochs=2, limit_val_batches=0)
    loader.trainer, loader.begun = again, []
    again.fit(Line(), loader, ckpt_path=str(tmp_path / "within.ckpt"))
    assert loader.begun == [3, 0]
    assert again.global_step == 2 * BATCHES


@pytest.mark.filterwarnings("ignore:`max_epochs` was not set")
@pytest.mark.parametrize("options", [{}, {"max_epochs": 3}, {"max_steps": 5}, {"max_time": "00:00:00:01"}])
def test_the_limit_of_epochs_is_that_of_a_fit(options: dict[str, Any]) -> None:
    given = trainer(limit_train_batches=0, **options)
    before = loops.limit_of_epochs(given)
    given.fit(Line())
    assert before == given.max_epochs


class Rare(Callback):
    """Logs a metric in its first validation, forgets it in the next one, and sets it at the end."""

    def __init__(self) -> None:
        self.seen: list[float | None] = []

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.current_epoch == 0:
            module.log("val/rare", 0.5)
        else:
            loops.set_metrics(trainer, {"val/rare": None})

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seen.append(trainer.callback_metrics.get("val/rare"))

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        loops.set_metrics(trainer, {"val/rare": 0.25})


def test_metrics_are_forgotten_and_set() -> None:
    rare = Rare()
    fit = trainer(rare, max_epochs=3)
    fit.fit(Line())
    assert rare.seen == [0.5, None, None]
    assert fit.callback_metrics["val/rare"] == 0.25
    assert "val/loss" in fit.callback_metrics


def test_whether_steps_are_skipped_by_the_precision_plugin() -> None:
    assert loops.skips_steps_itself(trainer(plugins=[MixedPrecision("16-mixed", device="cpu")]))
    assert not loops.skips_steps_itself(trainer(precision="bf16-mixed"))


def test_a_callback_that_setup_adds_is_called() -> None:
    class Adds(Callback):
        def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
            loops.callbacks_of(trainer).append(seen)

    seen = Foresight()
    trainer(Adds(), max_epochs=1).fit(Line())
    assert seen.events[-1] == "end"


def test_what_early_stopping_says() -> None:
    stopping = EarlyStopping("val/loss", mode="max", patience=1)
    assert not loops.has_stopped(stopping)
    trainer(stopping, max_epochs=5).fit(Line())
    assert loops.stopping_message(stopping).startswith(
        "Monitored metric val/loss did not improve in the last 1 records"
    )
    assert loops.has_stopped(stopping)
    with pytest.raises(RuntimeError) as raised:
        trainer(EarlyStopping("val/los"), max_epochs=1).fit(Line())
    assert loops.is_missing_metric(raised.value)


def test_a_timer_whose_time_is_over_has_stopped() -> None:
    timer = Timer(duration={"microseconds": 1})
    assert not loops.has_stopped(timer)
    trainer(timer, max_epochs=5).fit(Line())
    assert loops.has_stopped(timer)
    assert not loops.has_stopped(Timer())


def test_what_is_set_outside_of_the_trainer() -> None:
    assert loops.is_trial(trainer(fast_dev_run=True))
    assert not loops.is_trial(trainer())
    pl.seed_everything(5, verbose=False)
    assert loops.global_seed() == 5


def test_whether_the_processor_will_be_measured() -> None:
    assert loops.measures_processor(DeviceStatsMonitor(cpu_stats=True), "gpu")
    assert loops.measures_processor(DeviceStatsMonitor(), "cpu")
    assert not loops.measures_processor(DeviceStatsMonitor(cpu_stats=False), "cpu")


def test_who_set_should_stop_is_known() -> None:
    stopper = Foresight(stop_after=1)
    used = trainer(Foresight(), stopper, cls=RunTrainer, max_epochs=2)
    used.fit(Line())
    assert isinstance(used, RunTrainer)
    assert used.stopper is stopper


class Followed(loops.OpenCheckpoint):
    """Notes the files that are there when a better one was saved."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "best", save_on_train_epoch_end=False, enable_version_counter=False)
        self.saved: list[bool] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self.choose_by("val/loss", "min")

    def better_one_saved(self, trainer: pl.Trainer) -> None:
        self.saved.append(Path(self.best_model_path).exists())

    def newest(self) -> Path | None:
        path = Path(str(self.dirpath)) / "best.ckpt"
        return path if path.exists() else None


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists")
def test_a_checkpoint_callback_can_be_followed(tmp_path: Path) -> None:
    first, second = Followed(tmp_path), Followed(tmp_path)
    began = trainer(first, max_epochs=2)
    began.fit(Line(), ckpt_path="last")
    assert began.ckpt_path is None, "nothing was there"
    assert first.saved == [True, True], "the loss has fallen"
    goes_on = trainer(second, max_epochs=3)
    goes_on.fit(Line(), ckpt_path="last")
    assert goes_on.ckpt_path == str(tmp_path / "best.ckpt")
    assert second.saved == [True]
    state = loops.with_renamed_files({**second.state_dict(), "dirpath": None}, lambda path: f"moved/{Path(path).name}")
    assert str(tmp_path) not in str(state)
    assert set(state) == set(ModelCheckpoint().state_dict())


def test_the_title_of_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    class Bar(loops.TitledBar):
        def title(self, epoch: int) -> str:
            return f"pass {epoch}"

    trainer(Bar(), max_epochs=1, enable_progress_bar=True, limit_val_batches=0).fit(Line())
    assert "pass 0" in capsys.readouterr().out


def test_checkpoints_are_read_by_the_plugin_that_setup_has_put_in(tmp_path: Path) -> None:
    trainer(Saves(tmp_path), max_epochs=1).fit(Line())
    read = []

    class Reads(TorchCheckpointIO):
        def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
            read.append(Path(path).name)
            return super().load_checkpoint(path, *args, **kwargs)

    class Exchanges(Callback):
        def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
            loops.exchange_checkpoint_io(trainer, exchanged)

    def exchanged(before: CheckpointIO) -> CheckpointIO:
        assert type(before) is TorchCheckpointIO
        return Reads()

    trainer(Exchanges(), max_epochs=2).fit(Line(), ckpt_path=str(tmp_path / "end.ckpt"))
    assert read == ["end.ckpt"]


def test_which_processes_lightning_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loops.early_rank() == 0
    first = trainer(devices=2, strategy="ddp")
    assert not loops.is_started_by_lightning(first)
    assert isinstance(loops.script_launcher(first), _SubprocessScriptLauncher)
    assert loops.script_launcher(trainer(devices=2, strategy="ddp_fork")) is None
    assert loops.script_launcher(trainer()) is None
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # put back afterwards
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert loops.is_started_by_lightning(trainer(devices=2, strategy="ddp"))
    assert loops.early_rank() == 1


def test_the_loop_asks_for_a_signal_by_the_method_that_is_left_out() -> None:
    quiet = trainer()
    loop = quiet.fit_loop.epoch_loop
    names = type(loop).advance.__code__.co_names  # the loop calls it by this name, in several processes
    assert "_broadcast_sigterm_tensor" in names
    loops.leave_signals(quiet)
    assert loop._broadcast_sigterm_tensor.__name__ == "<lambda>"
    assert loop._broadcast_sigterm_tensor() is None


def test_gradients_are_equal_unless_a_hook_replaces_their_mean(tmp_path: Path) -> None:
    assert loops.shares_gradients(trainer())
    several = trainer(devices=2, strategy="ddp")
    several.strategy.connect(Line())
    assert not loops.shares_gradients(several)  # not wrapped yet, as with other strategies
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        several.strategy._lightning_module = line = Line()
        several.strategy.model = wrapped = DistributedDataParallel(line)
        assert loops.shares_gradients(several)
        line.automatic_optimization = False
        assert not loops.shares_gradients(several)
        line.automatic_optimization = True
        wrapped.register_comm_hook(None, allreduce_hook)
        assert not loops.shares_gradients(several)
    finally:
        dist.destroy_process_group()


class Launcher(loops.OpenLauncher):
    """Notes what is called."""

    def __init__(self, launcher: _SubprocessScriptLauncher) -> None:
        super().__init__(launcher)
        self.called: list[Any] = []

    def before_start(self) -> None:
        self.called.append("before")

    def watching(self, children: list[subprocess.Popen[bytes]]) -> nullcontext[None]:
        self.called.append(list(children))
        return nullcontext()


def test_a_launcher_that_is_replaced_starts_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    launcher = Launcher(_SubprocessScriptLauncher(LightningEnvironment(), 1, 1))
    used = trainer()
    loops.set_launcher(used, launcher)
    assert used.strategy.launcher is launcher
    threads = torch.get_num_threads()
    assert launcher.launch(lambda number: number + 1, 2) == 3
    assert launcher.called == ["before", []]
    assert torch.get_num_threads() == threads


def test_metrics_that_are_built_again_are_found() -> None:
    class Measured(Line):
        def __init__(self) -> None:
            super().__init__()
            self.mean = MeanMetric()

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            loss = super().training_step(batch, batch_idx)
            self.mean(loss)
            self.log("mean", self.mean)
            return loss

        def on_train_epoch_start(self) -> None:
            self.mean = MeanMetric()
            loops.forget_metrics(self)

    module = Measured()
    assert not loops.has_trainer(module)
    trainer(max_epochs=2).fit(module)
    assert loops.has_trainer(module)


def test_the_training_loader_is_made_once() -> None:
    class Looks(Callback):
        def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.loader = loops.training_loader(trainer)

    looks = Looks()
    fitted = trainer(looks, max_epochs=1)
    fitted.fit(Line())
    assert len(looks.loader) == BATCHES
    assert fitted.train_dataloader is looks.loader


def test_how_and_when_models_are_built() -> None:
    with loops.building(trainer(precision="64-true")):
        assert nn.Linear(1, 1).weight.dtype == torch.float64
    assert nn.Linear(1, 1).weight.dtype == torch.float32
    assert not loops.reads_checkpoint_late(trainer(devices=2, strategy="ddp"))
    assert FSDPStrategy().restore_checkpoint_after_setup
