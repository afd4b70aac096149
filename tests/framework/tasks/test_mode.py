"""Compiled or eager: how a run decides it, and that it stays so."""

from __future__ import annotations

import logging
import re
import signal
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch
import yaml
from torch import Tensor
from warm import WarmCommand
from weightspace.backbones import MLP
from weightspace.callbacks import standard_callbacks
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.tasks import ContrastiveTask, FineTuneTask, SupervisedTask
from weightspace.tasks.mode import decide, saved_mode, step_work

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*no last checkpoint available",
    "ignore:.*smaller than the logging interval",
)


class Paying(MLP):
    """Compiled by a compiler that computes eagerly, if a run has a million multiply-adds."""

    compile_pays = 1e6
    shapes: ClassVar[list[int]] = []

    def compile(self, batch_size: int | None = None, **options: Any) -> None:
        super().compile(batch_size, backend=self.compiler, **options)

    def compiler(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        width = self.spec.num_params
        self.shapes.append(max(len(tensor) for tensor in inputs if tensor.ndim == 2 and tensor.shape[1] == width))
        return graph.forward


@pytest.fixture(autouse=True)
def _no_shapes_yet() -> None:
    Paying.shapes.clear()


def task(compile: Any = "auto") -> SupervisedTask:
    pl.seed_everything(0, verbose=False)
    return SupervisedTask(Paying.partial(hidden=4, layers=1), compile=compile)


def data(zoo: Path, batch_size: int = 8, **options: Any) -> ZooDataModule:
    return ZooDataModule(str(zoo), batch_size=batch_size, n_views=1, augmentations=["sign_flip"], **options)


def plain(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    checkpoints = {} if callbacks else {"enable_checkpointing": False}
    return pl.Trainer(callbacks=list(callbacks), **{**quiet, **checkpoints, **options})


# --- the decision ---


def test_the_decision_rises_with_the_work_and_says_what_is_missing() -> None:
    modes = [[decide(steps, work, 1e9, "MLP").compiled for work in (10**5, 10**6, 10**7)] for steps in (99, 100, 1000)]
    assert modes == [[False, False, False], [False, False, True], [False, True, True]]
    assert "Mine has no compile_pays" in decide(10**9, 10**9, inf, "Mine").reason
    assert "not known" in decide(inf, 10**9, 1e9, "MLP").reason


def test_the_work_of_a_step_is_three_forward_passes(random_batch: Callable[..., Any]) -> None:
    spec = random_batch().spec
    assert step_work(MLP(spec, 3, hidden=4, layers=1), 10) == 3 * 10 * (spec.num_params * 4 + 4 * 3)


def test_checkpoints_of_earlier_versions_began_as_they_were_asked() -> None:
    assert saved_mode({}) == saved_mode({"task": {"arguments": {"compile": False}}}) == "eager"
    assert saved_mode({"task": {"arguments": {"compile": True}}}) == "compiled"
    assert saved_mode({"mode": "eager", "task": {"arguments": {"compile": True}}}) == "eager"
    with pytest.raises(ConfigError, match="mode must be eager or compiled, found 'fast'"):
        saved_mode({"mode": "fast"})


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_another_value_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=f"compile must be true, false or auto, found {value!r}"):
        task(value)


def test_what_would_be_ignored_is_refused() -> None:
    with pytest.raises(ConfigError, match="mode linear trains no encoder"):
        FineTuneTask(MLP, encoder="runs/x", mode="linear", compile=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_epochs": 1}, r"eager: 8 steps of .* do not repay compiling Paying \(from 1.0e\+06\)"),
        ({"max_epochs": 40}, r"compiled: 320 steps of .* repay compiling Paying"),
        ({"max_epochs": 40, "accumulate_grad_batches": 3}, r"compiled: 360 steps"),
        ({"max_steps": 9, "max_epochs": -1}, "eager: 9 steps"),
        ({"max_epochs": 40, "fast_dev_run": True}, "eager: a trial"),
    ],
)
def test_a_run_says_what_it_chose(
    digits_zoo: Path, caplog: pytest.LogCaptureFixture, options: dict[str, Any], said: str
) -> None:
    made = task()
    with caplog.at_level(logging.INFO, "lightning.pytorch"):
        plain(Ends(), enable_checkpointing=False, **options).fit(made, data(digits_zoo))
    assert [m for m in caplog.messages if re.match("(eager|compiled): ", m)] == [str(made.run_mode)]
    assert re.match(said, str(made.run_mode))


class Ends(pl.Callback):
    """Ends a run after its first epoch."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = True


class Fails(pl.Callback):
    """Fails after the first epoch."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch:
            raise RuntimeError("of the second epoch")


# --- what is compiled ---


@pytest.mark.parametrize("batch_size", [8, 60, 64])
def test_a_run_compiles_its_whole_batches_once(digits_zoo: Path, batch_size: int) -> None:
    """60 networks: with a smaller last batch, in one batch, and in one that is smaller than asked."""
    made = task()
    plain(max_epochs=40).fit(made, data(digits_zoo, batch_size))  # validates 20 networks at a time
    assert made.run_mode is not None
    assert made.run_mode.compiled
    assert Paying.shapes == [min(batch_size, 60)]
    plain(max_epochs=1).fit(made, data(digits_zoo, batch_size))
    assert not made.run_mode.compiled, "a mode is that of one fit"
    assert len(Paying.shapes) == 1


def test_both_networks_of_all_pairs_are_compiled_together(digits_zoo: Path) -> None:
    made = ContrastiveTask(Paying.partial(hidden=4), embedding=4, projection=4, hidden=4)
    plain(max_epochs=40, limit_train_batches=3).fit(made, data(digits_zoo, positives="augment"))
    assert Paying.shapes == [16]


def test_a_compiled_run_is_an_eager_one_if_the_compiler_is(digits_zoo: Path) -> None:
    states = []
    for compile in (False, True):
        made = task(compile)
        plain(max_epochs=2).fit(made, data(digits_zoo))
        states.append(made.state_dict())
    assert Paying.shapes == [8]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# --- resuming ---


@pytest.mark.parametrize(("first", "then"), [(2, 41), (40, 2)])
def test_a_resumed_run_keeps_the_mode_in_which_it_began(
    digits_zoo: Path, tmp_path: Path, first: int, then: int
) -> None:
    """Forty epochs are worth it, two are not: only the mode in the checkpoint says how the run began."""
    folder, began = RunFolder(tmp_path), "compiled" if first == 40 else "eager"
    with pytest.raises(RuntimeError, match="of the second epoch"):
        plain(Fails(), *standard_callbacks(tmp_path), max_epochs=first).fit(task(), data(digits_zoo))
    assert read_checkpoint(folder.checkpoint("last"))["mode"] == began
    assert yaml.safe_load((tmp_path / "provenance.json").read_text())["mode"] == began
    made = task()
    plain(*standard_callbacks(tmp_path), max_epochs=then).fit(made, data(digits_zoo), ckpt_path="last")
    assert str(made.run_mode) == f"{began}: as this run began"
    assert read_checkpoint(folder.checkpoint("last"))["mode"] == began
    assert Paying.shapes == ([8, 8] if began == "compiled" else [])
    other = began != "compiled"
    with pytest.raises(
        ConfigError, match=f"compile is {str(other).lower()}, but the run that is resumed began {began}"
    ):
        plain(*standard_callbacks(tmp_path), max_epochs=then).fit(task(other), data(digits_zoo), ckpt_path="last")
    loaded = SupervisedTask.load_from_checkpoint(folder.checkpoint("last"))
    plain(max_epochs=1).fit(loaded, data(digits_zoo))
    assert str(loaded.run_mode).startswith("eager: 8 steps"), "it is a new run"


# --- real compilers, in processes ---


@pytest.fixture
def experiment(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run that is planned for ever, which compiling would repay, and ends after seconds."""
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "Probe", "init_args": {"probes": 4, "hidden": 8, "layers": 1}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo), "batch_size": 8, "n_views": 1},
        "trainer": {
            "max_epochs": 10**12,
            "max_time": "00:00:00:01",
            "accelerator": "cpu",
            "enable_progress_bar": False,
        },
    }
    Path("long.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "-c", "long.yaml"]


@pytest.mark.long
def test_without_a_compiler_a_run_is_eager_unless_it_was_asked_to_compile(experiment: list[str]) -> None:
    none = {"PATH": "/nowhere"}
    with WarmCommand(*experiment, environment=none) as running:
        said, errors = running.communicate()
    assert running.returncode == 0, errors
    assert re.match(r"eager: there is no working compiler \(.*: install a C\+\+ compiler", " ".join(said.split()))
    run = RunFolder(Path("runs/long/0"))
    assert yaml.safe_load((run.path / "config.yaml").read_text())["model"]["init_args"]["compile"] is False
    assert read_checkpoint(run.checkpoint("last"))["mode"] == "eager"
    before = sorted(path.name for path in run.path.rglob("*"))
    asked = [*experiment, "--overwrite", "true", "--model.init_args.compile", "true"]
    with WarmCommand(*asked, environment=none) as running:
        said, errors = running.communicate()
    assert running.returncode == 2
    assert re.match(r"error: there is no working compiler .*: install a C\+\+ compiler", errors)
    assert before == sorted(path.name for path in run.path.rglob("*")), "what was there is left alone"


def state(runs: str) -> dict[str, Tensor]:
    folder = RunFolder(Path(runs) / "long" / "0")
    checkpoint = read_checkpoint(folder.checkpoint("last"))
    assert checkpoint["mode"] == "compiled"
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    return weights


SHORT = ["--trainer.max_time", "null", "--data.n_views", "3", "--checkpoints.every_n_steps", "5"]


@pytest.mark.long
def test_a_compiled_run_that_is_killed_goes_on_to_the_bits_of_one_that_is_not(experiment: list[str]) -> None:
    """Planned for ever, it is compiled by itself; and it is resumed for three epochs, which do not repay that."""
    options = [*SHORT, "--model.init_args.backbone.init_args.dropout", "0.3"]
    options += ["--model.init_args.scheduler", "torch.optim.lr_scheduler.StepLR"]
    options += ["--model.init_args.scheduler.step_size", "1"]  # that does not depend on the end
    cut = RunFolder(Path("cut/long/0"))
    with WarmCommand(*experiment, *options, "--runs", "cut") as running:
        while not any(path >= cut.step(30) for path in cut.steps()):  # in the second epoch of 23 steps
            assert running.poll() is None, running.communicate()
            time.sleep(0.0005)
        running.send_signal(signal.SIGKILL)
    assert main([*experiment, *options, "--runs", "cut", "--ckpt_path", "last", "--trainer.max_epochs", "3"]) == 0
    options += ["--trainer.max_epochs", "3", "--model.init_args.compile", "true"]
    assert main([*experiment, *options, "--runs", "whole"]) == 0
    whole, resumed = state("whole"), state("cut")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.long
def test_two_processes_train_compiled(experiment: list[str]) -> None:
    states = []
    for mode in ("true", "false"):
        options = [*SHORT, "--runs", mode, "--trainer.max_epochs", "2", "--trainer.devices", "2"]
        with WarmCommand(*experiment, *options, "--model.init_args.compile", mode) as running:
            said, errors = running.communicate()
        assert running.returncode == 0, (said, errors)
        folder = RunFolder(Path(mode) / "long" / "0")
        states.append(read_checkpoint(folder.checkpoint("last"))["state_dict"])
    compiled, eager = states
    floats = [name for name in eager if eager[name].is_floating_point()]
    assert all(torch.allclose(compiled[name], eager[name], atol=1e-3) for name in floats)
    assert any(not torch.equal(compiled[name], eager[name]) for name in floats), "nothing was compiled"
