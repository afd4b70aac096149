"""The commands ``weightspace fit|validate|test|predict``: parse the configuration and print the results of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.table import Table

from weightspace.callbacks import EpochBar, EpochLines, Hyperparameters, OnlineProbe, RunEnd, RunTrainer
from weightspace.callbacks.launcher import watch_peers
from weightspace.callbacks.run_start import check_trainer_keeps, check_work
from weightspace.callbacks.standard import keeping_callbacks, run_logger, step_callbacks
from weightspace.cli.console import make_console
from weightspace.cli.data_options import serve_zoo
from weightspace.cli.edit_objects import give_objects
from weightspace.cli.experiment import config_files
from weightspace.cli.failures import explained_failures, is_first_process, lost_means_explained
from weightspace.cli.lightning_cli import OpenCLI
from weightspace.cli.run_options import add_command_options, add_run_options
from weightspace.cli.run_parser import RunParser
from weightspace.cli.said_mode import SaidMode
from weightspace.cli.saved_config import SavedConfig, folder_of, save_config
from weightspace.cli.trainer_options import check_trainer
from weightspace.constructed import check_constructed, constructing
from weightspace.entry_points import BACKBONES, choices, load_plugin
from weightspace.errors import ConfigError, WeightspaceError, interrupted
from weightspace.files.lock import Lock
from weightspace.runs.checkpoint_io import guard
from weightspace.runs.metric_text import metric_text
from weightspace.runs.refused import missing_folders, remove_folders
from weightspace.runs.resume import find_checkpoint
from weightspace.studies.study_file import LARGEST_SEED
from weightspace.tasks import ContrastiveTask, ReconstructionTask, Task
from weightspace.tasks.mode import Mode
from weightspace.tasks.prediction import joined
from weightspace.tasks.prediction_table import write_predictions
from weightspace.text import PlainConsole, shown


def run_cli(arguments: list[str]) -> None:
    """Runs one of the commands with the given arguments."""
    with explained_failures():
        _load_backbones()
        RunCLI(args=arguments)


def _load_backbones() -> None:
    """Imports all backbones, so that a YAML can name one by its class alone; broken ones are reported."""
    for name in choices(BACKBONES):
        try:
            load_plugin(BACKBONES, name, ConfigError, kind="backbone")
        except ConfigError as error:
            PlainConsole(stderr=True).print(f"left out: {error}")


def _listed(asked: Any) -> list[Any]:
    """Converts the value of a key that accepts one object, a list, or a word (true, null) to a list of objects."""
    return [] if isinstance(asked, bool) or asked is None else asked if isinstance(asked, list) else [asked]


class RunCLI(OpenCLI):
    """A LightningCLI with a folder per run, in which checkpoints never override the configuration."""

    def __init__(self, args: list[str]) -> None:
        self._config_files = config_files(args)  # the parser loses them when it resolves interpolations
        self._lock: Lock | None = None
        self._end: RunEnd | None = None
        self._new_part = False
        self._made: list[Path] = []
        try:
            super().__init__(
                args,
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
            )
        finally:
            if self._lock is not None:
                self._lock.release()

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options about the run's folder."""
        add_run_options(parser)

    def finish_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        """Adds the options of the subcommand."""
        add_command_options(parser, subcommand)

    def before_seed(self) -> None:
        """Raises ConfigError if the seed is none."""
        seed = self.option("seed_everything")
        if seed is False or not 0 <= seed <= LARGEST_SEED:
            raise ConfigError(f"seed_everything must be a whole number in 0..{LARGEST_SEED}, found {seed}")

    def instantiate_classes(self) -> None:
        """Builds all. Data without a seed of its own takes the run's; the file that is kept can be given another."""
        data = self.option("data")
        own = data["seed"]
        data["seed"] = int(self.option("seed_everything")) if own is None else own
        with constructing(ConfigError):
            super().instantiate_classes()
        data["seed"] = own
        give_objects(self.model, self.datamodule)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Adds the run's folder, logger and callbacks to the trainer of the configuration."""
        check_constructed(self.model, ConfigError)
        check_trainer(self.trainer_options)
        self.folder = folder_of(
            self.option("runs"), self.option("experiment"), self.option("seed_everything"), self._config_files
        )
        if self._begins_run:
            self._lock = self.folder.lock()
            self.folder.take(self._lock)  # before looking for checkpoints
        checked = self._resolve_checkpoint()
        if not self._is_trial:
            kwargs["logger"] = [run_logger(self.folder.path), *_listed(self.trainer_option("logger"))]
        kwargs["default_root_dir"] = self.trainer_option("default_root_dir") or str(self.folder.path)
        kwargs["callbacks"] = [*_listed(self.trainer_option("callbacks")), *self._callbacks()]
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (ValueError, RuntimeError, ImportError) as error:
            raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
        if not self._is_trial:
            check_trainer_keeps(trainer, self.folder)
        self._over = self._is_over(trainer, checked)
        guard(trainer, checked)
        watch_peers(trainer, self._how_to_resume)
        return trainer

    def _callbacks(self) -> list[pl.Callback]:
        """The callbacks that the run gets in addition to those of the configuration."""
        seed = self.option("seed_everything")
        callbacks = step_callbacks(seed)
        if self._is_trial:
            callbacks.append(SaidMode())
        else:
            keeping = keeping_callbacks(
                self.folder,
                seed,
                configured=self._configured_callbacks(),
                checkpointing=self.trainer_option("enable_checkpointing") is not False,
                monitor=self.option("monitor"),
                monitor_mode=self.option("monitor_mode"),
                nonfinite=self.option("nonfinite"),
                **self.option("checkpoints").as_dict(),
            )
            self._end = next(callback for callback in keeping if isinstance(callback, RunEnd))
            callbacks += [
                SavedConfig(self.save_config),
                SaidMode(),
                *keeping,
                Hyperparameters(self.folder),
                LearningRateMonitor("step"),
            ]
            if isinstance(self.model, ContrastiveTask | ReconstructionTask):
                callbacks.append(OnlineProbe(**self.option("probe").as_dict()))
        own_bar = any(isinstance(c, pl.callbacks.ProgressBar) for c in _listed(self.trainer_option("callbacks")))
        if self.trainer_option("enable_progress_bar") is not False and not own_bar:
            callbacks.append(EpochBar() if sys.stdout.isatty() else EpochLines())
        return callbacks

    def _configured_callbacks(self) -> list[tuple[object, dict[str, Any]]]:
        """The callbacks of the configuration with their arguments."""
        given, made = _listed(self.option("trainer").callbacks), _listed(self.trainer_option("callbacks"))
        return [(m, g.as_dict().get("init_args", {})) for m, g in zip(made, given, strict=True)]

    def _is_over(self, trainer: pl.Trainer, checked: dict[str, dict[str, Any]]) -> bool:
        """Whether the resumed run has ended already and has written all its files."""
        if self._end is None or self.subcommand != "fit":
            return False
        return [self._end.look(checkpoint, trainer) for checkpoint in checked.values()] == [True]

    def _how_to_resume(self) -> str:
        if self._kept_run and self.folder.steps():
            return "The same command with --ckpt_path last resumes it"
        return "No checkpoint was written: start the same command again"

    def _resolve_checkpoint(self) -> dict[str, dict[str, Any]]:
        """Finds, checks and reads the requested checkpoint before anything depends on it: {path: content}."""
        options = self.command_options
        if options.get("weights_only") is False:
            raise ConfigError("weights_only: no checkpoint is unpickled, since that can run any code: leave it out")
        if self.subcommand == "fit" and options["auto_resume"] and not options["overwrite"] and self.folder.steps():
            options["ckpt_path"] = options["ckpt_path"] or "last"
        if self.subcommand != "fit":  # also for None, which would use an untrained model
            options["ckpt_path"] = options["ckpt_path"] or "best"
        if options["ckpt_path"] is None:
            if self._begins_run and not options["overwrite"]:
                self.folder.check_free()
            return {}
        options["ckpt_path"], checkpoint = find_checkpoint(self.folder, options["ckpt_path"])
        return {options["ckpt_path"]: checkpoint}

    @property
    def _is_trial(self) -> bool:
        """Whether the command is a trial of a few batches, which writes nothing."""
        return bool(self.trainer_option("fast_dev_run"))

    @property
    def _kept_run(self) -> bool:
        """Whether the command starts or resumes a run that is kept."""
        return self.subcommand == "fit" and not self._is_trial

    @property
    def _begins_run(self) -> bool:
        """Whether this process creates the run's folder."""
        return self._kept_run and is_first_process()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Adds how to resume to ctrl-C, and to errors about a full disk or a dead loader worker.

        A refused run leaves no folder.
        """
        try:
            with lost_means_explained(self.folder, self._how_to_resume):
                yield
        except (WeightspaceError, MisconfigurationException):
            if self.trainer.global_step == 0:
                remove_folders(self._made)
            raise
        except (Exception, SystemExit) as stop:
            if interrupted(stop) and self.subcommand == "fit":
                hint = self._how_to_resume()
                raise KeyboardInterrupt(f"stopped: {hint[0].lower()}{hint[1:]}") from None
            raise

    def before_fit(self) -> None:
        """Creates the run's folder, once everything has been built."""
        check_work(self.trainer)
        options = self.command_options
        if isinstance(self.model, Task):
            self.model.check(self.datamodule, self.trainer)
            if options["ckpt_path"] is None:
                self.model.check_target(self.datamodule)
        if self._lock is None or self._end is None or self._over:
            return
        self._made = missing_folders(self.folder.path)
        self.folder.prepare(self._lock, resuming=options["ckpt_path"] is not None, replacing=options["overwrite"])
        self._new_part = not self._end.finished  # else only files of the run's end are still missing

    def save_config(self, mode: Mode | None) -> None:
        """Saves the resolved configuration, with the mode of the run, if there is something left to train."""
        if self._new_part:
            save_config(self.command_parser, self.config["fit"], self.folder, self._config_files, mode)

    def fit(self, **arguments: Any) -> None:
        """Trains, unless the run has ended already; then it is not changed."""
        if not self._over:
            self.trainer.fit(**arguments)

    def before_validate(self) -> None:
        """Raises ConfigError if the zoo has no validation objects."""
        if not len(self.datamodule.zoo.rows("val")):
            raise ConfigError(f"{self.datamodule.zoo.path} has no validation objects: fit it with --val N")

    def before_test(self) -> None:
        """Raises ConfigError if the task has no test."""
        if isinstance(self.model, Task) and not self.model.has_test():
            raise ConfigError(
                f"{type(self.model).__name__} has no test, since it has no targets: `weightspace validate` measures "
                "its loss, and fine-tuning shows what its encoder is good for"
            )

    def predict(self, **arguments: Any) -> None:
        """Writes ``predictions.csv`` to the run's folder, with one line per network and its true target."""
        task, data, options = type(self.model).__name__, self.datamodule, self.command_options
        steps = (pl.LightningModule.predict_step, Task.predict_step)
        if getattr(self.model, "head", None) is None and type(self.model).predict_step in steps:
            raise ConfigError(
                f"predict writes classes or numbers, and {task} has no predict_step: "
                "weightspace embed --encoder E --zoo Z --out F writes embeddings"
            )
        data.predict_split = options["split"]
        zoos = [zoo for zoo, _ in data.predicted_parts()]
        returned = self.trainer.predict(**arguments)
        own = self.model.predicted if isinstance(self.model, Task) and self.model.head is None else None
        place = self.trainer.strategy.root_device
        each = returned if len(zoos) > 1 and isinstance(returned, list) else [returned]
        found = [(zoo, joined(part, task, own or data.target, place)) for zoo, part in zip(zoos, each, strict=True)]
        if self.trainer.is_global_zero:
            path = self.folder.path / "predictions.csv"
            write_predictions(path, found, data, options["top_k"])
            make_console().print(f"predictions at {path}")

    def after_fit(self) -> None:
        """Prints the metrics and the location of the run."""
        end = self._end
        if end is not None and end.reason and self.trainer.is_global_zero:
            epochs = self.folder.read_ending().get("epochs")
            said = "finished already" if end.finished else "ended"
            hint = ": raise it, or change the arguments of what ended it, to resume" if end.finished else ""
            make_console().print(f"{said}, after {epochs} epochs: {shown(end.reason)}{hint}")
        self._print_metrics()

    def _print_metrics(self) -> None:
        """Prints the metrics of the command."""
        metrics = self.folder.read_metrics().get(str(self.subcommand), {})
        if not metrics or not self.trainer.is_global_zero or self._is_trial:
            return
        table = Table(show_header=False)
        for name, value in sorted(metrics.items()):
            if isinstance(value, (int, float)):
                table.add_row(name, metric_text(name, value))
        console = make_console()
        console.print(f"{self.subcommand}: {self.folder.path}")
        console.print(table, soft_wrap=False)

    after_validate = after_test = _print_metrics
