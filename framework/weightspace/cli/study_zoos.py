"""The zoos of a study: which are missing, and making them."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from weightspace.cli.console import make_console
from weightspace.errors import ConfigError
from weightspace.studies.study import Study
from weightspace.studies.workers import SEQUENCE


def missing_zoos(study: Study, zoos: Sequence[str]) -> list[str]:
    """The zoos that are not there.

    Raises:
        ConfigError: the study does not say how to make one of them.
    """
    absent = [zoo for zoo in zoos if not (Path(zoo) / "zoo.json").is_file()]
    unknown = [zoo for zoo in absent if zoo not in study.zoos]
    if unknown:
        raise ConfigError(
            f"{study.path}: there is no zoo {unknown[0]}, and `zoos` does not say how to make it: make it, or add "
            f"`zoos: {{{unknown[0]}: fit --source ...}}`"
        )
    return absent


def zoo_command(study: Study, zoo: str) -> str:
    """The command that makes a zoo."""
    return f"weightspace zoo {study.zoos[zoo]} --out {shlex.quote(zoo)}"


def make_zoos(study: Study, absent: Sequence[str], make: bool) -> None:
    """Makes the missing zoos.

    Args:
        study: says how.
        absent: their paths.
        make: whether that is asked for.

    Raises:
        ConfigError: it is not, or one could not be made.
    """
    if absent and not make:
        commands = "\n".join(f"  {zoo_command(study, zoo)}" for zoo in absent)
        raise ConfigError(f"zoos are missing: make them with --make-zoos, or by\n{commands}")
    for zoo in absent:
        command = zoo_command(study, zoo)
        make_console().print(command)
        arguments = json.dumps([shlex.split(command)[1:]])
        # its input ends with this process, and it with that: the same command goes on where it was cut
        with subprocess.Popen([*SEQUENCE, "--with-parent", arguments], stdin=subprocess.PIPE) as process:
            code = process.wait()
        if code:
            raise ConfigError(f"the zoo {zoo} could not be made (exit code {code})")
