"""jsonargparse with errors for people: one message, exit code 2."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import jsonargparse
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
    given = re.search(r"(?:Given|Got) value: (.*)", message)
    kinds = re.findall(r"Expected a <class '([\w.]+)'>", message) or re.findall(r"Expected an? ([^\n.]+)", message)
    if key and given and kinds:
        names = dict.fromkeys(kind.replace("NoneType", "None") for kind in kinds)
        return f"{key.group(1)}: expected {' or '.join(names)}, found {given.group(1)!r}"
    lines = [line.strip(" -") for line in message.splitlines()]
    dull = ("Does not validate against any", "Subtypes:", "Errors:", "Given value type:", "Traceback")
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(dull)))
