"""A LightningCLI with a public interface to the private parts that we use. This module is internal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI


class OpenCLI(LightningCLI):
    """A LightningCLI whose subclasses can extend the parser, read options, and wrap the running of a subcommand.

    Overrides ``_prepare_subcommand_parser``, ``_set_seed``, ``_run_subcommand`` and ``_parse_ckpt_path``, and reads by
    ``_get`` and ``_parser``: LightningCLI has no public way to give a subcommand options of its own or to check a seed,
    and lets the hyperparameters of a checkpoint override YAML and command line.

    Args:
        args: the subcommand and its arguments.
        **options: arguments of LightningCLI.
    """

    #: Whether the subcommand runs, or is parsed alone.
    runs = True

    def __init__(self, args: list[str], **options: Any) -> None:
        self._asked = args[0]
        super().__init__(args=args, **options)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the requested subcommand, since building the parser of each takes a third of a second."""
        return {self._asked: LightningCLI.subcommands()[self._asked]}

    def finish_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        """Adds options and defaults to the parser of a subcommand."""

    def before_seed(self) -> None:
        """Called before all generators are seeded."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """The context in which the subcommand runs, with its hooks before and after."""
        yield

    def option(self, name: str) -> Any:
        """The value of an option as it was given, with classes as their paths."""
        return self._get(self.config, name)

    def trainer_option(self, name: str) -> Any:
        """The value of an option of the trainer, with objects instead of the classes in the configuration."""
        return self.trainer_options.get(name)

    @property
    def trainer_options(self) -> Any:
        """All options of the trainer, with objects instead of the classes in the configuration."""
        return self._get(self.config_init, "trainer")

    @property
    def command_options(self) -> Any:
        """Options of the subcommand, which can be changed until it runs."""
        return self.config_init[self.subcommand]

    @property
    def command_parser(self) -> LightningArgumentParser:
        """The parser of the subcommand."""
        return self._parser(self.subcommand)

    def _set_seed(self) -> None:
        self.before_seed()
        super()._set_seed()

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        self.finish_parser(parser, subcommand)
        return parser

    def _parse_ckpt_path(self) -> None:
        """Does nothing, so that checkpoints do not override the configuration."""

    def _run_subcommand(self, subcommand: str) -> None:
        if not self.runs:
            return
        with self.running():
            super()._run_subcommand(subcommand)


def has_option(parser: LightningArgumentParser, name: str) -> bool:
    """Whether a parser has an option with this name. Uses ``_option_string_actions`` of argparse."""
    return f"--{name}" in parser._option_string_actions
