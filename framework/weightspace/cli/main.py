# PYTHON_ARGCOMPLETE_OK
"""Entry point of the console script ``weightspace``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from rich.text import Text

from weightspace.cli.completion import ASKED, complete
from weightspace.errors import SomeFailed, Terminated, WeightspaceError, WorkerEnded, closest, interrupted
from weightspace.text import PlainConsole, shown_lines
from weightspace.version import __version__

USAGE = """usage: weightspace COMMAND [options]; weightspace COMMAND --help shows its options

  zoo fit|import|export|align|info|verify|repair|show  make, align, describe, check and draw sets of fitted networks
  fit -c EXPERIMENT.yaml         train on a zoo; every key of the YAML is also an option
  validate|test|predict -c ...   use a run's checkpoint (the best one, unless --ckpt_path says otherwise)
  embed --encoder E --zoo Z --out F  write embeddings of a zoo by a pretrained encoder
  neighbours --encoder E --zoo Z  find and draw networks that are alike, and a map of the zoo
  merge A B --out C              align two networks and mix them
  study FILE.yaml                run a table of experiments, with intervals, and show it
  report RUNS...                 compare runs in a table
  augmentations [show NAME]      list the installed augmentations, or describe one and draw its effect
  plugin new NAME [--kind K]     start a plugin of your own: augmentation, backbone, source or task
  --version
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code.

    1: a process ended, or runs failed. 2: bad input. 130: interrupted. 143: terminated.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt as stop:
        _say(str(stop) or "interrupted")
        return 130
    except Terminated as stop:
        _say(f"{stop}: the same command with --ckpt_path last resumes it")
        return 143
    except (SomeFailed, WorkerEnded) as stop:
        _say(Text.assemble(("error:", "bold red"), f" {shown_lines(stop)}"))
        return 1
    except Exception as error:
        if interrupted(error):
            _say("interrupted")
            return 130
        if isinstance(error, OSError) and error.filename and not isinstance(error, WeightspaceError):
            error = WeightspaceError(f"{error.filename}: {error.strerror}")  # about a file of the user
        if not isinstance(error, WeightspaceError):
            raise
        _say(Text.assemble(("error:", "bold red"), f" {shown_lines(error)}"))
        return 2


def _dispatch(arguments: list[str]) -> int:
    if ASKED in os.environ:  # a request for completions needs no other output
        complete(_commands())
        return 1
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if command == "--version":
        print(f"weightspace {__version__}")
        return 0
    commands = _commands()
    if command not in commands:
        raise WeightspaceError(f"unknown command {command!r}: {closest(command, commands)}")
    commands[command](rest)
    return 0


def _commands() -> dict[str, Callable[[list[str]], None]]:
    # imported here, so that --help and --version need not wait for torch and lightning
    def run(subcommand: str) -> Callable[[list[str]], None]:
        def command(rest: list[str]) -> None:
            from weightspace.cli.run import run_cli

            run_cli([subcommand, *rest])

        return command

    def zoo(rest: list[str]) -> None:
        from weightspace.cli.zoo import zoo_cli

        zoo_cli(rest)

    def augmentations(rest: list[str]) -> None:
        from weightspace.cli.augmentations import augmentations_cli

        augmentations_cli(rest)

    def report(rest: list[str]) -> None:
        from weightspace.cli.report import report_cli

        report_cli(rest)

    def study(rest: list[str]) -> None:
        from weightspace.cli.study import study_cli

        study_cli(rest)

    def embed(rest: list[str]) -> None:
        from weightspace.cli.embed import embed_cli

        embed_cli(rest)

    def neighbours(rest: list[str]) -> None:
        from weightspace.cli.neighbours import neighbours_cli

        neighbours_cli(rest)

    def merge(rest: list[str]) -> None:
        from weightspace.cli.merge import merge_cli

        merge_cli(rest)

    def plugin(rest: list[str]) -> None:
        from weightspace.cli.plugin import plugin_cli

        plugin_cli(rest)

    runs = {name: run(name) for name in ("fit", "validate", "test", "predict")}
    others = {"zoo": zoo, "study": study, "augmentations": augmentations, "plugin": plugin, "report": report}
    return {**runs, **others, "embed": embed, "neighbours": neighbours, "merge": merge}


def _say(text: str | Text) -> None:
    PlainConsole(stderr=True).print(text)


if __name__ == "__main__":
    sys.exit(main())
