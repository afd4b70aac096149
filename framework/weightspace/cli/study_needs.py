"""What the runs of a study read, zoos and encoders: which are missing, and making them."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase

from weightspace.cli.console import make_console
from weightspace.errors import ConfigError
from weightspace.runs.origin import is_there, kind_of, origin_there
from weightspace.runs.unfinished import note_of, noted
from weightspace.studies.overrides import placeholders
from weightspace.studies.remade import Inputs
from weightspace.studies.study import Study
from weightspace.studies.workers import SEQUENCE


@dataclass(frozen=True)
class Need:
    """A file or folder that is missing.

    Attributes:
        kind: "zoo" or "encoder".
        path: where runs look for it.
        commands: arguments of ``weightspace`` with which it is made, one after another.
    """

    kind: str
    path: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def command(self) -> str:
        """The commands that make it, as text."""
        return " && ".join(shlex.join(["weightspace", *arguments]) for arguments in self.commands)

    def is_there(self) -> bool:
        """Whether it is there by now."""
        return is_there(self.kind, self.path)


def missing_needs(study: Study, inputs: Iterable[Inputs]) -> list[Need]:
    """The zoos and encoders that are not there.

    Args:
        study: the study.
        inputs: what its experiments read.

    Raises:
        ConfigError: the study does not say how to make one of them.
    """
    read = list(inputs)
    paths = {(kind_of(key) == "encoder", path): None for inputs in read for key, path in inputs.items()}
    zoos, encoders = ([path for encoder, path in paths if encoder is asked] for asked in (False, True))
    return [*missing_zoos(study, zoos), *missing_encoders(study, encoders)]


def missing_zoos(study: Study, zoos: Iterable[str]) -> list[Need]:
    """The zoos that are not there.

    Raises:
        ConfigError: the study does not say how to make one of them.
    """
    absent = [zoo for zoo in zoos if not is_there("zoo", zoo)]
    unknown = [zoo for zoo in absent if zoo not in study.zoos]
    if unknown:
        _check_filled(study, "zoo", unknown[0])
        raise ConfigError(
            f"{study.path}: there is no zoo {unknown[0]}, and `zoos` does not say how to make it: make it, or add "
            f"`zoos: {{{unknown[0]}: fit --source ...}}`"
        )
    return [Need("zoo", zoo, _zoo_commands(study.zoos[zoo], zoo)) for zoo in absent]


def _zoo_commands(text: str, zoo: str) -> tuple[tuple[str, ...], ...]:
    """The command that makes a zoo, and those after ``&&``, which are given the zoo: ``fit ... && align --to mean``."""
    first, *others = text.split("&&")
    after = (shlex.split(other) for other in others)
    return (
        ("zoo", *shlex.split(first), "--out", zoo),
        *(("zoo", name, zoo, *arguments) for name, *arguments in after),
    )


def missing_encoders(study: Study, encoders: Iterable[str]) -> list[Need]:
    """The pretrained encoders that are not there.

    Raises:
        ConfigError: the study does not say how to make one of them.
    """
    absent = []
    for encoder in encoders:
        if is_there("encoder", encoder):
            continue
        _check_filled(study, "encoder", encoder)
        pattern = next((pattern for pattern in study.encoders if fnmatchcase(encoder, pattern)), None)
        if pattern is None and origin_there("encoder", encoder) is not None:
            continue  # of a run that has not ended, which is nobody's but the user's
        if pattern is None:
            raise ConfigError(
                f"{study.path}: there is no encoder {encoder}, and `encoders` does not say how to make it: make it, or "
                f"add `encoders: {{{encoder}: fit -c ...}}`"
            )
        absent.append(Need("encoder", encoder, (_resuming(tuple(shlex.split(study.encoders[pattern]))),)))
    return absent


def _check_filled(study: Study, kind: str, path: str) -> None:
    """Raises ConfigError if what is missing is that of a word in braces, for which nothing has been put."""
    for word in placeholders(path):
        raise ConfigError(
            f"{study.path}: {{{word}}} in the {kind} {path} stands for nothing: {{variant}} and {{column}} do, and "
            "{fold} where the study has folds"
        )


def _resuming(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments; those of training also say that it goes on where it was cut, unless they say what else to do."""
    said = {argument.partition("=")[0] for argument in arguments}
    if arguments[0] != "fit" or said & {"--auto_resume", "--ckpt_path", "--overwrite"}:
        return arguments
    return (*arguments, "--auto_resume", "true")


def needs_text(needs: Sequence[Need]) -> str:
    """Lines that say what is missing, one for each command that makes it."""
    lines = []
    for command in dict.fromkeys(need.command for need in needs):
        made = [need for need in needs if need.command == command]
        more = f" (and {len(made) - 1} more)" if len(made) > 1 else ""
        note = note_of(made[0].path)
        if made[0].kind == "zoo" and note.exists():
            lines.append(f"the zoo {made[0].path} is not finished, as {note} says: {command}")
        else:
            lines.append(f"there is no {made[0].kind} {made[0].path}{more} yet: {command}")
    return "\n".join(lines)


def make_needs(needs: Sequence[Need], asked: Mapping[str, bool]) -> None:
    """Makes what is missing, each by its command.

    Args:
        needs: what is missing.
        asked: for each kind, whether that is asked for.

    Raises:
        ConfigError: it is not, or something could not be made.
    """
    if left := [need for need in needs if not asked[need.kind]]:
        kinds = " and ".join(dict.fromkeys(f"{need.kind}s" for need in left))
        options = " ".join(dict.fromkeys(f"--make-{need.kind}s" for need in left))
        commands = "\n".join(dict.fromkeys(f"  {need.command}" for need in left))
        raise ConfigError(f"{kinds} are missing: make them with {options}, or by\n{commands}")
    for need in needs:
        if need.is_there():  # one command can make several
            continue
        make_console().print(need.command)
        with noted(need.path) if len(need.commands) > 1 else nullcontext():
            _make(need)
        if not need.is_there():
            raise ConfigError(f"the {need.kind} {need.path} could not be made ({_why_not(need, 0)})")


def _make(need: Need) -> None:
    """Runs the commands of a need, of which those that have ended find nothing to do, or do the same again."""
    # its input ends with this process, and it with that: the same command goes on where it was cut
    arguments = [*SEQUENCE, "--with-parent", json.dumps(need.commands)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        code = process.wait()
    if code:
        raise ConfigError(f"the {need.kind} {need.path} could not be made ({_why_not(need, code)})")


def _why_not(need: Need, code: int) -> str:
    if code:
        return f"exit code {code}"
    recorded = f"; if its results are recorded and its runs are gone, `{need.command} --rerun` makes them again"
    return f"`{need.command}` has not made it{recorded if need.commands[0][0] == 'study' else ''}"
