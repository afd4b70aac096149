"""Completion of words in a shell, by argcomplete: of commands, and of the options and values of each."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

#: Where argcomplete's function of the shell says that it asks, and which word of the line the program is, from 1.
ASKED = "_ARGCOMPLETE"
#: Commands whose parser knows them as a subcommand of ``weightspace``.
_RUNS = ("fit", "validate", "test", "predict")


def complete(commands: Mapping[str, Callable[[list[str]], None]]) -> None:
    """Answers the shell and ends the process, where argcomplete is installed; otherwise does nothing.

    Args:
        commands: by name, each taking the arguments after it. One is called, for its parser, which answers instead of
            parsing.
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
            _go_on()  # its parser's name has two words
        commands[command](["--help"])


def subparser_asked(parser: Any) -> Any:
    """The parser of the subcommands in the shell's line, which is to answer: one of jsonargparse parses its own words.

    Args:
        parser: a jsonargparse parser, whose own name the words before the next one are.
    """
    while (action := parser._subcommands_action) is not None and (word := _next_word()) in action.choices:
        parser = action.choices[word]
        _go_on()
    return parser


def _next_word() -> str | None:
    """The first word after those of the program that is written out; None where the cursor is at it."""
    from argcomplete.lexers import split_line

    words = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
    program = int(os.environ[ASKED])
    return str(words[program]) if len(words) > program else None


def _go_on() -> None:
    """Counts one more word to the program."""
    os.environ[ASKED] = str(int(os.environ[ASKED]) + 1)
