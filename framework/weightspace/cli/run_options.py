"""Options of ``fit``, ``validate``, ``test`` and ``predict`` beside those of model, data and trainer."""

from __future__ import annotations

import argparse
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from weightspace.callbacks import Checkpoints, OnlineProbe
from weightspace.cli.lightning_cli import has_option
from weightspace.cli.saved_config import OF_SINGLE_COMMANDS, RUNS


def add_run_options(parser: LightningArgumentParser) -> None:
    """Adds where the run is kept, and what is kept of it."""
    parser.add_argument("--experiment", type=str, help="name of the run's folder; default: the path of the YAML")
    parser.add_argument("--runs", type=str, default=RUNS, help="folder of all runs")
    parser.add_argument("--monitor", type=str, help="metric that chooses the best checkpoint; default: the task's")
    parser.add_argument("--monitor_mode", type=str, help="max or min; default: the task's, or max")
    parser.add_argument("--auto_resume", type=bool, default=False, help="fit goes on with an unfinished run by itself")
    parser.add_argument("--nonfinite", type=str, default="stop", help="what a step with a NaN loss does: stop, skip")
    parser.add_class_arguments(Checkpoints, "checkpoints", skip={"folder"}, instantiate=False)
    parser.add_argument("--checkpoints.top_k", type=int, default=1, help="how many of the best to keep, >= 1")
    parser.add_class_arguments(OnlineProbe, "probe", instantiate=False)


def add_command_options(parser: LightningArgumentParser, subcommand: str) -> None:
    """Adds options and defaults of a single command; those of others are read, and do nothing."""
    if subcommand == "fit":
        parser.add_argument("--overwrite", type=bool, default=False, help="replace a run that is there already")
    else:
        parser.set_defaults({"ckpt_path": "best"})
    if subcommand == "predict":
        parser.add_argument("--split", type=str, default="test", help="networks: train, val, test, internal")
        parser.add_argument("--top_k", type=int | None, help="the k likeliest classes, instead of all")
    if subcommand in ("validate", "test"):
        parser.set_defaults({"verbose": False})  # Lightning's table: ours has the same numbers
    for name, default in OF_SINGLE_COMMANDS.items():
        if not has_option(parser, name):
            parser.add_argument(f"--{name}", type=Any, default=default, help=argparse.SUPPRESS)
