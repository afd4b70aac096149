"""Shell completion, by argcomplete, of commands and of their options and values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

#: Environment variable in which argcomplete's shell function gives the position of the program's name in the line.
ASKED = "_ARGCOMPLETE"
#: Commands whose parser is a subparser of ``weightspace``.
_RUNS = ("fit", "validate", "test", "predict")


def complete(commands: Mapping[str, Callable[[list[str]], None]]) -> None:
    """Answers a request for completions and exits, if argcomplete is installed; otherwise does nothing.

    Args:
        commands: functions of the commands by name. The one in the line is called with no arguments, and its parser
            answers the request instead of parsing.
    """
    if find_spec("argcomplete") is None:
        return
    import argcomplete

    command = _next_word()
    if command is None:
        parser = argparse.ArgumentParser(prog="weightspace")
        parser.add_argument("command", choices=list(commands))
        parser.add_argument("--version", action="store_true")
        argcomplete.autocomplete(parser)
    elif command in commands:
        if command not in _RUNS:
            _next_level()  # its parser's name has two words
        commands[command](["--help"])


def subparser_asked(parser: Any) -> Any:
    """The parser of the subcommand in the shell's line, which has to answer the request.

    Args:
        parser: a jsonargparse parser, whose name is the words of the line so far.
    """
    while (action := parser._subcommands_action) is not None and (word := _next_word()) in action.choices:
        parser = action.choices[word]
        _next_level()
    return parser


def _next_word() -> str | None:
    """The first complete word after the program's name; None if the cursor is at it."""
    from argcomplete.lexers import split_line

    words = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
    program = int(os.environ[ASKED])
    return str(words[program]) if len(words) > program else None


def _next_level() -> None:
    """Counts one more word as a part of the program's name."""
    os.environ[ASKED] = str(int(os.environ[ASKED]) + 1)
