"""Options of ``fit``, ``validate``, ``test`` and ``predict`` in addition to those of model, data and trainer."""

from __future__ import annotations

import argparse
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from weightspace.callbacks import Checkpoints, OnlineProbe
from weightspace.cli.lightning_cli import has_option
from weightspace.cli.saved_config import OF_SINGLE_COMMANDS
from weightspace.runs.folder import RUNS


def add_run_options(parser: LightningArgumentParser) -> None:
    """Adds the options about the run's folder and checkpoints."""
    parser.add_argument("--experiment", type=str, help="name of the run's folder; default: the path of the YAML")
    parser.add_argument("--runs", type=str, default=RUNS, help="folder of all runs")
    parser.add_argument("--monitor", type=str, help="metric that chooses the best checkpoint; default: the task's")
    parser.add_argument(
        "--monitor_mode",
        type=str,
        help="max or min; default: the task's for its metric, else min for losses and errors",
    )
    parser.add_argument("--auto_resume", type=bool, default=False, help="resume an unfinished run automatically")
    parser.add_argument(
        "--nonfinite",
        type=str,
        default="stop",
        help="where a loss, gradient or result is NaN or infinite: stop the run, or skip (leave it out, and count it)",
    )
    parser.add_class_arguments(Checkpoints, "checkpoints", skip={"folder"}, instantiate=False)
    parser.add_argument("--checkpoints.top_k", type=int, default=1, help="number of best checkpoints to keep, >= 1")
    parser.add_class_arguments(OnlineProbe, "probe", instantiate=False)


def add_command_options(parser: LightningArgumentParser, subcommand: str) -> None:
    """Adds options and defaults of one command; those of the other commands are accepted without effect."""
    if subcommand == "fit":
        parser.add_argument("--overwrite", type=bool, default=False, help="replace an existing run")
    else:
        parser.set_defaults({"ckpt_path": "best"})
    if subcommand == "predict":
        parser.add_argument("--split", type=str, default="test", help="networks: train, val, test, internal")
        parser.add_argument("--top_k", type=int | None, help="the k likeliest classes, instead of all")
    if subcommand in ("validate", "test"):
        parser.set_defaults({"verbose": False})  # no table by Lightning, since ours has the same numbers
    for name, default in OF_SINGLE_COMMANDS.items():
        if not has_option(parser, name):
            parser.add_argument(f"--{name}", type=Any, default=default, help=argparse.SUPPRESS)
