"""Resolving experiments without running them: all defaults, and errors of keys and values."""

from __future__ import annotations

from typing import Any

from weightspace.cli.failures import explained_failures
from weightspace.cli.run import RunCLI


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

    def resolve(self, arguments: list[str]) -> dict[str, Any]:
        """The resolved configuration of ``weightspace fit`` with these arguments.

        Raises:
            ConfigError: a key is unknown, or a value is not what it needs.
        """
        with explained_failures():
            config = self.parser.parse_args(["fit", *arguments])["fit"].as_dict()
        return dict(config)
