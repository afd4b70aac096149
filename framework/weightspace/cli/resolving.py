"""Resolving and building experiments without running them: all defaults, and errors of keys, values and networks."""

from __future__ import annotations

import lightning.pytorch as pl
from jsonargparse import Namespace

from weightspace.cli.failures import explained_failures
from weightspace.cli.run import RunCLI
from weightspace.constructed import check_constructed, constructing
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.tasks.learned import check_learnable
from weightspace.tasks.module import ZooModule
from weightspace.tasks.widths import check_widths


class Resolver(RunCLI):
    """Parses ``weightspace fit`` with one parser for all experiments, since building it takes a third of a second.

    Args:
        arguments: of an experiment, for which the parser is built.
    """

    runs = False

    def __init__(self, arguments: list[str]) -> None:
        with explained_failures():
            super().__init__(["fit", *arguments])

    def instantiate_classes(self) -> None:
        """Builds nothing."""

    def parse(self, arguments: list[str]) -> Namespace:
        """The resolved configuration of ``weightspace fit`` with these arguments.

        Raises:
            ConfigError: a key is unknown, or a value is not what it needs.
        """
        with explained_failures():
            parsed: Namespace = self.parser.parse_args(["fit", *arguments])
        return parsed

    def build(self, parsed: Namespace) -> tuple[pl.LightningModule, ZooDataModule]:
        """Task and data of a configuration, the task with its modules, as a run has them before its first step.

        Neither statistics of the networks nor a pretrained encoder are read, and there is no trainer.

        Args:
            parsed: what ``parse`` returns.

        Raises:
            WeightspaceError: there is no such zoo, or task, backbone or augmentations cannot be built for it.
        """
        config = parsed.clone()
        config["fit.trainer.callbacks"], config["fit.trainer.logger"] = None, False  # what they open is for runs
        with explained_failures(), constructing(ConfigError):
            made = self.parser.instantiate_classes(config)["fit"]
            task, data = made["model"], made["data"]
            check_constructed(task, ConfigError)
            if isinstance(task, ZooModule):
                check_learnable(data, type(task).__name__, task.head, task.pairs)
                task.make_modules(data.spec, data.target)
                check_widths(task, data)
        return task, data
