"""What a command imports before it works: torch takes a second, lightning three more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: Runs commands one after another in one process, and prints which of some modules have been imported after each.
SCRIPT = """
import json, sys
from weightspace.cli.main import main

commands, modules = json.loads(sys.argv[1])
for command in commands:
    try:
        code = main(command.split())
    except SystemExit as stop:  # of --help
        code = stop.code
    print("\\nran", json.dumps([command, code, [name for name in modules if name in sys.modules]]))
"""


def imported(folder: Path, commands: list[str], modules: list[str]) -> dict[str, list[str]]:
    """Which of the modules a fresh process has imported after each of these commands, all of which succeed."""
    command = [sys.executable, "-c", SCRIPT, json.dumps([commands, modules])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ran = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert [code or 0 for _, code, _ in ran] == [0] * len(commands), done.stderr
    return {command: found for command, _, found in ran}


def write_run(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.yaml").write_text("seed_everything: 0\n")
    (folder / "provenance.json").write_text('{"parameters": 3}')
    (folder / "metrics.json").write_text('{"test": {"test/accuracy": 0.5}}')


def test_what_computes_nothing_needs_no_torch(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    commands = ["--version", "--help", "plugin new --help", "plugin new my-noise", "augmentations --help"]
    commands += ["augmentations show --help", "embed --help", "report --help", "report run", "report run --format md"]
    found = imported(tmp_path, commands, ["torch", "lightning", "matplotlib", "scipy", "tensorboard"])
    assert found == {command: [] for command in commands}


def test_zoos_need_no_lightning(tmp_path: Path) -> None:
    commands = ["zoo --help", "zoo fit --help"]
    commands += ["zoo fit --source digits --train 2 --test 1 --set steps=1 --mode eager --out zoo"]
    commands += ["zoo info zoo", "zoo verify zoo", "zoo repair zoo", "zoo export zoo --out files"]
    commands += ["zoo import files --format folder --out again"]
    drawing = "zoo show zoo --out picture.png"
    found = imported(tmp_path, [*commands, drawing], ["lightning", "torchmetrics", "matplotlib", "torch._inductor"])
    assert found == {**{command: [] for command in commands}, drawing: ["matplotlib"]}


def test_a_shell_that_asks_for_words_waits_for_no_torch(tmp_path: Path) -> None:
    line, out = "weightspace report --cur", tmp_path / "words"
    asked = {"": "1", "_STDOUT_FILENAME": str(out), "_IFS": "\n", "_SHELL": "bash"}
    environment = {f"_ARGCOMPLETE{name}": value for name, value in asked.items()}
    environment |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
    command = [sys.executable, "-X", "importtime", "-m", "weightspace"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert out.read_text().strip() == "--curves"
    assert "jsonargparse" in modules
    assert not modules & {"torch", "lightning"}
