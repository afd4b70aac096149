"""A jsonargparse parser whose errors are short messages with exit code 2."""

from __future__ import annotations

import os
from enum import Enum
from typing import Any, NoReturn

import jsonargparse
import yaml

from weightspace.cli import config_text
from weightspace.cli.completion import ASKED, subparser_asked
from weightspace.cli.readable import explained
from weightspace.errors import ConfigError
from weightspace.files.safe_yaml import check_yaml, load_yaml

config_text.install()


def _load(text: str) -> Any:
    """Loads YAML like jsonargparse, within our limits."""
    check_yaml(text)
    return _load_unchecked(text)


class _Dumper(yaml.SafeDumper):
    """A YAML dumper that also writes members of enumerations, which third-party classes have as defaults."""


def _dump(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)


_Dumper.add_multi_representer(Enum, lambda dumper, member: dumper.represent_data(member.value))
_load_unchecked = jsonargparse.get_loader("yaml")
for _mode in ("yaml", "omegaconf+"):
    jsonargparse.set_loader(_mode, _load, exceptions=(yaml.YAMLError, ValueError))
jsonargparse.set_dumper("yaml", _dump)


class Parser(jsonargparse.ArgumentParser):
    """An ArgumentParser whose errors are ``ConfigError``, and whose options cannot be abbreviated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Parses the arguments; on a request for completions, the parser of the subcommand answers it and exits."""
        if ASKED in os.environ and (subparser := subparser_asked(self)) is not self:
            return subparser.parse_args([])
        return super().parse_args(*args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises ConfigError with the readable part of the message."""
        raise ConfigError(explained(self, message)) from ex


def key_values(items: list[str], option: str = "set") -> dict[str, Any]:
    """Parses the values of an option like ``--set steps=300 init=shared``; ``option`` is its name in messages.

    Raises:
        ConfigError: an item is not name=value, or its value is not YAML.
    """
    changes = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ConfigError(
                f"{option}: expected items like name=value, with spaces between them and no brackets around them, "
                f"found {item!r}"
            )
        try:
            changes[key.strip()] = load_yaml(value)
        except yaml.YAMLError as error:
            hint = ": put a value with spaces in quotes, as 'hidden=[8, 8]'" if value[:1] in "[{" else ""
            raise ConfigError(f"{option}: {item!r} has no readable value{hint}") from error
    return changes
