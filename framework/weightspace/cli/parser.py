"""jsonargparse with errors for people: one message, exit code 2."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import jsonargparse
import yaml
from lightning.pytorch.cli import LightningArgumentParser

from weightspace.errors import ConfigError


class Parser(jsonargparse.ArgumentParser):
    """ArgumentParser whose errors are ``ConfigError``."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the readable part of the message."""
        raise ConfigError(readable(message)) from ex


class RunParser(LightningArgumentParser):
    """LightningCLI's parser, with the same errors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"parser_mode": "omegaconf+", **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the readable part of the message."""
        raise ConfigError(readable(message)) from ex


def readable(message: str) -> str:
    """The sentences of a jsonargparse message that help: without its nested listing of everything it tried.

    >>> readable("Parser key \\"trainer.max_epochs\\":\\n  Does not validate against any of the Union subtypes\\n"
    ...     "  Subtypes: [<class 'int'>, <class 'NoneType'>]\\n  Errors:\\n    - Expected a <class 'int'>\\n"
    ...     "    - Expected a <class 'NoneType'>\\n  Given value type: <class 'str'>\\n  Given value: many")
    "trainer.max_epochs: expected int or None, found 'many'"
    """
    key = re.search(r'(?:Parser key|argument) "?-{0,2}([\w.]+)"?:', message)
    body = message[key.end() :] if key else message
    given = re.search(r"(?:Given|Got) value: (.*)", body)
    lines = dict.fromkeys(line.strip(" -") for line in body.splitlines())
    reasons = [line for line in lines if line and not line.startswith(_DULL)]
    types = [match for match in map(_TYPE.fullmatch, reasons) if match]
    others = [
        _CLASS.sub(r"there is no class \1, expected its name or dotted path", r)
        for r in reasons
        if not _TYPE.fullmatch(r)
    ]
    if not others and types and given:
        names = dict.fromkeys((m.group(1) or m.group(2)).replace("NoneType", "None") for m in types)
        others = [f"expected {' or '.join(names)}, found {given.group(1)!r}"]
    return f"{key.group(1)}: {' '.join(others)}" if key else " ".join(others)


#: Lines that list what was tried, or repeat the value.
_DULL = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Expected a path but", "Traceback")
_TYPE = re.compile(r"Expected an? (?:<class '([\w.]+)'>|typing\.Literal(\[.*\]))(?:\. Got value: .*)?")
_CLASS = re.compile(r"Expected a dot import path string: (\S+)")


def key_values(items: list[str], option: str = "set") -> dict[str, Any]:
    """Reads the values of an option like ``--set steps=300 init=shared``, or of another of this ``option``'s name.

    Raises:
        ConfigError: an item has no equals sign, or a value that is not YAML.
    """
    changes = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"{option}: expected items like name=value, found {item!r}")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{option}: {item!r} has no readable value") from error
    return changes
