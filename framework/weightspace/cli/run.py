"""``weightspace fit|validate|test|predict``: LightningCLI with the zoo's data module and one folder per run."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from weightspace.callbacks import (
    BestCheckpoint,
    Checkpoints,
    ClassTables,
    EncoderFile,
    EpochBar,
    EpochLines,
    FiniteResults,
    FiniteSteps,
    Hyperparameters,
    MonitorCheck,
    OnlineProbe,
    Pictures,
    Provenance,
    RunEnd,
    RunTrainer,
    StepSeeds,
    Throughput,
)
from weightspace.callbacks.best_checkpoint import check_names
from weightspace.callbacks.launcher import watch_peers
from weightspace.callbacks.run_end import reason_of_end
from weightspace.cli.console import make_console
from weightspace.cli.data_options import serve_zoo
from weightspace.cli.experiment import config_files
from weightspace.cli.interpolation import unresolved
from weightspace.cli.run_parser import RunParser
from weightspace.cli.saved_config import OF_SINGLE_COMMANDS, RUNS, folder_of, save_config
from weightspace.cli.trainer_options import check_trainer, check_writer
from weightspace.cli.work import check_work
from weightspace.constructed import check_constructed, constructing
from weightspace.data.loading import dead_worker
from weightspace.entry_points import BACKBONES, choices, load_plugin
from weightspace.errors import ConfigError, Terminated, WeightspaceError, WorkerEnded, interrupted
from weightspace.files import FULL, DiskFullError
from weightspace.files.lock import Lock
from weightspace.runs.checkpoint_io import guard, newest_whole, read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import early_rank, is_missing_metric
from weightspace.runs.metric_text import metric_text
from weightspace.tasks import ContrastiveTask, Task
from weightspace.tasks.prediction import joined
from weightspace.tasks.prediction_table import write_predictions
from weightspace.text import PlainConsole, shown

#: Facts of Lightning that a user of this command line cannot act on.
QUIET = (
    r".*does not have many workers.*",
    r".*LightningCLI's args parameter is intended to run from within Python.*",
    r".*The number of training batches .* is smaller than the logging interval.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*You defined a `validation_step` but have no `val_dataloader`.*",
    r"Total length of `list` across ranks is zero.*",  # a zoo without validation objects
    r"The .grad attribute of a Tensor that is not a leaf Tensor is being accessed.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r"The ``compute`` method of metric .* was called before the ``update``.*",  # all were left out, which is told
    # keys of earlier versions are read
    r".*Please add the following callbacks: \[(('augmentation/\d+/[^']+'|\"ModelCheckpoint\{[^}]*\}\")(, )?)+\]",
)


def run_cli(arguments: list[str]) -> None:
    """Parses and runs one command."""
    try:
        _run(arguments)
    except (Exception, SystemExit) as stop:  # Lightning exits after ctrl-C
        if interrupted(stop):
            raise KeyboardInterrupt("stopped: the same command with --ckpt_path last goes on") from None
        raise


def _run(arguments: list[str]) -> None:
    for message in QUIET:
        warnings.filterwarnings("ignore", message)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # not: GPU available, tips, seeds
    _load_backbones()
    try:
        RunCLI(args=arguments)
    except SIGTERMException:  # between Lightning's taking over the signal and ours
        raise Terminated("told to end (SIGTERM) before the first step") from None
    except MisconfigurationException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except OmegaConfBaseException as error:
        raise ConfigError(unresolved(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"a configuration file is not UTF-8 text: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except RuntimeError as error:
        if not is_missing_metric(error):
            raise
        raise ConfigError(" ".join(str(error).split())) from error
    except ValueError as error:  # jsonargparse wraps what a constructor raises
        raise _own_error(error) or error from error


def _load_backbones() -> None:
    """Imports all backbones, so that a YAML may name one by its class alone; a broken one harms no other."""
    for name in choices(BACKBONES):
        try:
            load_plugin(BACKBONES, name, ConfigError, kind="backbone")
        except ConfigError as error:
            PlainConsole(stderr=True).print(f"left out: {error}")


def _rank() -> int:
    """Number of this process, known before there is a trainer; on other machines than the first only that it is > 0."""
    node = int(os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", 0)))
    return early_rank() or node


def _own_error(error: BaseException | None) -> WeightspaceError | None:
    """The error of ours among those that led to this one."""
    while error is not None and not isinstance(error, WeightspaceError):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Keeps Python from printing a traceback where TensorBoard's thread finds no room: it hands its error on."""
    before = threading.excepthook

    def hook(ended: Any) -> None:
        if not (isinstance(ended.exc_value, OSError) and ended.exc_value.errno in FULL):
            before(ended)

    threading.excepthook = hook
    try:
        yield
    except OSError as error:
        for thread in threading.enumerate():
            if getattr(thread, "exception", None) is error:
                thread.join(10)  # it has yet to end
        raise
    finally:
        threading.excepthook = before


def _listed(asked: Any) -> list[Any]:
    """What the configuration gives for a key that takes one object, several, or a word (true, null)."""
    return [] if isinstance(asked, bool) or asked is None else asked if isinstance(asked, list) else [asked]


class RunCLI(LightningCLI):
    """LightningCLI with a fixed run folder, and checkpoints that never override the configuration."""

    def __init__(self, args: list[str]) -> None:
        self._asked = args[0]
        self._config_files = config_files(args)  # the parser forgets them once it has resolved interpolations
        self._lock: Lock | None = None
        try:
            self._run_command(args)
        finally:
            if self._lock is not None:
                self._lock.release()

    def _run_command(self, args: list[str]) -> None:
        super().__init__(
            model_class=pl.LightningModule,
            trainer_class=RunTrainer,
            datamodule_class=serve_zoo,
            subclass_mode_model=True,
            parser_class=RunParser,
            trainer_defaults={
                "logger": False,
                "use_distributed_sampler": False,
                "log_every_n_steps": 10,
                "enable_model_summary": False,
            },
            seed_everything_default=0,
            save_config_callback=None,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The one that is asked for: each has a parser of its own, and to build one takes a third of a second."""
        return {self._asked: LightningCLI.subcommands()[self._asked]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds where the run is kept."""
        parser.add_argument("--experiment", type=str, help="name of the run's folder; default: the path of the YAML")
        parser.add_argument("--runs", type=str, default=RUNS, help="folder of all runs")
        parser.add_argument("--monitor", type=str, help="metric that chooses the best checkpoint; default: the task's")
        parser.add_argument("--monitor_mode", type=str, help="max or min; default: the task's, or max")
        parser.add_argument(
            "--auto_resume", type=bool, default=False, help="fit goes on with an unfinished run by itself"
        )
        parser.add_argument(
            "--nonfinite", type=str, default="stop", help="what a step with a NaN loss does: stop, skip"
        )
        parser.add_class_arguments(Checkpoints, "checkpoints", skip={"folder"}, instantiate=False)
        parser.add_argument("--checkpoints.top_k", type=int, default=1, help="how many of the best to keep, >= 1")
        parser.add_class_arguments(OnlineProbe, "probe", instantiate=False)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "fit":
            parser.add_argument("--overwrite", type=bool, default=False, help="replace a run that is there already")
        else:
            parser.set_defaults({"ckpt_path": "best"})
        if subcommand == "predict":
            parser.add_argument("--split", type=str, default="test", help="networks: train, val, test, internal")
            parser.add_argument("--top_k", type=int | None, help="the k likeliest classes, instead of all")
        if subcommand in ("validate", "test"):
            parser.set_defaults({"verbose": False})  # Lightning's table: ours has the same numbers
        for name, default in OF_SINGLE_COMMANDS.items():
            if f"--{name}" not in parser._option_string_actions:
                parser.add_argument(f"--{name}", type=Any, default=default, help=argparse.SUPPRESS)
        return parser

    def _parse_ckpt_path(self) -> None:
        """Does nothing: LightningCLI would let the checkpoint's hyperparameters override YAML and command line."""

    def instantiate_classes(self) -> None:
        """Builds all. Data without a seed of its own takes the run's; the file that is kept can be given another."""
        data = self._get(self.config, "data")
        own = data["seed"]
        data["seed"] = int(self._get(self.config, "seed_everything")) if own is None else own
        with constructing(ConfigError):
            super().instantiate_classes()
        data["seed"] = own

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Adds the run's folder, logger and callbacks to what the configuration says."""
        check_constructed(self.model, ConfigError)
        check_trainer(self._get(self.config_init, "trainer"))
        self.folder = self._folder()
        if self._begins_run:
            self._lock = self.folder.lock()
            self.folder.take(self._lock)  # before it is looked at which checkpoints there are
        checked = self._resolve_checkpoint()
        rich = sys.stdout.isatty()
        extra: list[pl.Callback] = [StepSeeds(self._get(self.config, "seed_everything")), Throughput()]
        asked = _listed(self._trainer_option("callbacks"))
        own_bar = any(isinstance(callback, pl.callbacks.ProgressBar) for callback in asked)
        if self._trainer_option("enable_progress_bar") is not False and not own_bar:
            extra.append(EpochBar() if rich else EpochLines())
        if not self._trainer_option("fast_dev_run"):
            own = TensorBoardLogger(
                self.folder.path.parent, name="", version=self.folder.path.name, default_hp_metric=False
            )
            kwargs["logger"] = [own, *_listed(self._trainer_option("logger"))]
            self._end = RunEnd(self.folder, self._configured_callbacks())
            provenance = Provenance(self.folder, self._get(self.config, "seed_everything"))
            extra += [
                provenance,
                self._end,
                Hyperparameters(self.folder),
                Pictures(self.folder.pictures),
                ClassTables(self.folder.path, self.folder.pictures),
                LearningRateMonitor("step"),
            ]
            if isinstance(self.model, ContrastiveTask):
                extra.append(OnlineProbe(**self._get(self.config, "probe").as_dict()))
            nonfinite = self._get(self.config, "nonfinite")
            extra += [FiniteSteps(self.folder, nonfinite), FiniteResults(self.folder, nonfinite)]
            if self._trainer_option("enable_checkpointing") is not False:
                extra += self._checkpoints()
        kwargs["default_root_dir"] = self._trainer_option("default_root_dir") or str(self.folder.path)
        kwargs["callbacks"] = [MonitorCheck(), *asked, *extra]
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (ValueError, RuntimeError, ImportError) as error:
            raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
        check_writer(trainer.strategy.checkpoint_io)
        self._find_end(trainer, checked)
        guard(trainer, checked)
        watch_peers(trainer, self._how_to_go_on)
        return trainer

    def _find_end(self, trainer: pl.Trainer, checked: dict[str, dict[str, Any]]) -> None:
        """Looks whether the run that is resumed has ended already, and whether all was written then."""
        self._over = False
        if not self._kept_run:
            return
        for checkpoint in checked.values():
            self._end.finished = self._end.reason = reason_of_end(checkpoint, trainer, self._end.configured)
            self._over = self._end.finished is not None and self.folder.has_ended(checkpoint["global_step"])

    def _configured_callbacks(self) -> list[tuple[object, dict[str, Any]]]:
        """Callbacks of the configuration, with the arguments that they were made from."""
        given, made = _listed(self._get(self.config, "trainer").callbacks), _listed(self._trainer_option("callbacks"))
        return [(m, g.as_dict().get("init_args", {})) for m, g in zip(made, given, strict=True)]

    def _checkpoints(self) -> list[pl.Callback]:
        network = EncoderFile(self.folder.path)
        options = self._get(self.config, "checkpoints").as_dict()
        top_k = options.pop("top_k")
        check_names(_listed(self._trainer_option("callbacks")), self.folder)
        last = Checkpoints(self.folder, **options)
        if not len(self.datamodule.zoo.rows("val")):
            return [last, network]
        monitor, mode = self._get(self.config, "monitor"), self._get(self.config, "monitor_mode") or "max"
        if monitor is None:
            monitor = getattr(self.model, "monitor", "val/accuracy")
            mode = self._get(self.config, "monitor_mode") or getattr(self.model, "monitor_mode", "max")
        return [BestCheckpoint(self.folder, monitor, mode, top_k), last, network]

    def _how_to_go_on(self) -> str:
        if self._kept_run and self.folder.steps():
            return "The same command with --ckpt_path last goes on"
        return "Nothing of it is kept: give the same command again"

    def _trainer_option(self, name: str) -> Any:
        return self._get(self.config_init, "trainer").get(name)

    def _folder(self) -> RunFolder:
        runs, experiment, seed = (self._get(self.config, key) for key in ("runs", "experiment", "seed_everything"))
        return folder_of(runs, experiment, seed, self._config_files)

    def _resolve_checkpoint(self) -> dict[str, dict[str, Any]]:
        """Finds, checks and reads the checkpoint that is asked for, before anything is built on it: {path: content}."""
        options = self.config_init[self.subcommand]
        if options.get("weights_only") is False:
            raise ConfigError("weights_only: no checkpoint is unpickled, since that can run any code: leave it out")
        if self.subcommand == "fit" and options["auto_resume"] and not options["overwrite"] and self.folder.steps():
            options["ckpt_path"] = options["ckpt_path"] or "last"
        if self.subcommand != "fit":  # None, too: it would be a model that nothing has trained
            options["ckpt_path"] = options["ckpt_path"] or "best"
        asked = options["ckpt_path"]
        if asked is None:
            if self._begins_run and not options["overwrite"]:
                self.folder.check_free()
            return {}
        path = asked if "://" in asked else str(self.folder.checkpoint(asked))
        options["ckpt_path"] = path
        try:
            return {path: read_checkpoint(path)}
        except ConfigError as error:
            before = newest_whole([step for step in self.folder.steps() if str(step) < path])
            raise ConfigError(f"{error}{f'. The one before it: --ckpt_path {before}' if before else ''}") from error

    @property
    def _kept_run(self) -> bool:
        """Whether the command makes, or goes on with, a run that is kept."""
        return self.subcommand == "fit" and not self._trainer_option("fast_dev_run")

    @property
    def _begins_run(self) -> bool:
        """Whether this process is the one that makes the run's folder."""
        return self._kept_run and _rank() == 0

    def _run_subcommand(self, subcommand: str) -> None:
        """Lightning's; where the disk is full or a loader worker ended, says so, and what there is to go on with."""
        try:
            with _quiet_threads():
                super()._run_subcommand(subcommand)
        except RuntimeError as error:
            worker = dead_worker(error)
            if worker is None:
                raise
            raise WorkerEnded(f"{worker}: fewer --data.num_workers need less. {self._how_to_go_on()}") from error
        except OSError as error:  # a logger's have no path, and may come from its thread
            if error.errno not in FULL:
                raise
            full = error if isinstance(error, DiskFullError) else DiskFullError(self.folder.path, None, error.errno)
            good = newest_whole(self.folder.steps())
            hint = f"the last good checkpoint is {good}: make room, then --ckpt_path last" if good else "make room"
            raise ConfigError(f"{full}; {hint}") from error

    def before_fit(self) -> None:
        """Makes the run's folder, now that everything has been built, and keeps the resolved configuration."""
        check_work(self.trainer)
        if isinstance(self.model, Task):
            self.model.check(self.datamodule, self.trainer)
            if self.config_init["fit"]["ckpt_path"] is None:
                self.model.check_target(self.datamodule)
        if self._lock is None or self._over:
            return
        options = self.config_init["fit"]
        self.folder.prepare(self._lock, resuming=options["ckpt_path"] is not None, replacing=options["overwrite"])
        if self._end.finished:  # nothing but what its end should have left is still to be written
            return
        save_config(self._parser("fit"), self.config["fit"], self.folder, self._config_files)

    def fit(self, **arguments: Any) -> None:
        """Trains, unless the run has ended already: then it stays as it is."""
        if not self._over:
            self.trainer.fit(**arguments)

    def before_validate(self) -> None:
        """Refuses a zoo without validation objects."""
        if not len(self.datamodule.zoo.rows("val")):
            raise ConfigError(f"{self.datamodule.zoo.path} has no validation objects: fit it with --val N")

    def predict(self, **arguments: Any) -> None:
        """Writes ``predictions.csv`` into the run's folder: one line per network, with its true target."""
        task, data, options = type(self.model).__name__, self.datamodule, self.config_init["predict"]
        steps = (pl.LightningModule.predict_step, Task.predict_step)
        if getattr(self.model, "head", None) is None and type(self.model).predict_step in steps:
            raise ConfigError(
                f"predict writes classes or numbers, and {task} has no predict_step: "
                "weightspace embed --encoder E --zoo Z --out F writes embeddings"
            )
        data.predict_split = options["split"]
        returned = self.trainer.predict(**arguments)
        found = joined(returned, task, data.target, self.trainer.strategy.root_device)
        if self.trainer.is_global_zero:
            path = self.folder.path / "predictions.csv"
            write_predictions(path, found, data, options["top_k"])
            make_console().print(f"predictions at {path}")

    def after_fit(self) -> None:
        """Says what came out, and where it lies."""
        end = None if self._trainer_option("fast_dev_run") else self._end
        if end is not None and end.reason and self.trainer.is_global_zero:
            epochs = self.folder.read_ending().get("epochs")
            said = "finished already" if end.finished else "ended"
            hint = ": raise it, or change the arguments of who ended it, to go on" if end.finished else ""
            make_console().print(f"{said}, after {epochs} epochs: {shown(end.reason)}{hint}")
        self._print_metrics()

    def after_validate(self) -> None:
        """Prints the validation metrics."""
        self._print_metrics()

    def after_test(self) -> None:
        """Prints the test metrics."""
        self._print_metrics()

    def _print_metrics(self) -> None:
        metrics = self.folder.read_metrics().get(str(self.subcommand), {})
        if not metrics or not self.trainer.is_global_zero or self._trainer_option("fast_dev_run"):
            return
        table = Table(show_header=False)
        for name, value in sorted(metrics.items()):
            if isinstance(value, (int, float)):
                table.add_row(name, metric_text(name, value))
        console = make_console()
        console.print(f"{self.subcommand}: {self.folder.path}")
        console.print(table, soft_wrap=False)
