"""Runs several commands one after another in one process: ``python -m weightspace.cli.sequence [OPTION] COMMANDS``.

COMMANDS is a JSON list with the arguments of each command; the first that fails ends the sequence with its exit code.
With ``--with-parent``, the process ends as soon as its input does, that is with the process that holds the other end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path

from weightspace.cli.main import main


def run_sequence(commands: list[list[str]]) -> int:
    """Runs the commands; returns the first exit code that is not 0."""
    return next((code for code in map(main, commands) if code), 0)


def end_with_parent() -> None:
    """Ends this process, whatever it does, when its input ends. Runs are safe from that: they are resumed."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock a waiting thread would hold when the interpreter ends
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def log_to(path: Path) -> None:
    """Appends all that this process prints to a file."""
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-parent", action="store_true")
    parser.add_argument("--log", type=Path)
    parser.add_argument("commands", type=json.loads)
    options = parser.parse_args()
    if options.log is not None:
        log_to(options.log)
    if options.with_parent:
        end_with_parent()
    sys.exit(run_sequence(options.commands))
