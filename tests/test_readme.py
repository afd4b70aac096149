"""The commands of README, CONTRIBUTING and the guides, run as a newcomer would (make test-long)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SYSTEM = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def commands(file: str) -> list[str]:
    """Lines of the ``sh`` blocks of a page, continued lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def clone(folder: Path) -> Path:
    """The project's files, without what a developer's machine adds."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run(command: str, folder: Path) -> str:
    # the environment that runs the tests serves the commands, so that only quickstart installs one of its own
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(900)
def test_quickstart(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    out = run("make quickstart", folder)
    for name in ("runs/quickstart/0", "runs/quickstart_mlp/0", "test accuracy", "networks/s", "tensorboard --logdir"):
        assert name in out
    assert (folder / "runs" / "digits.png").stat().st_size > 10_000
    run("make quickstart", folder)  # a second time: the zoo is there, the runs are replaced


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "docs/zoo.md", "docs/augmentations.md"])
def test_commands(file: str, tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    found = [c for c in commands(file) if not c.startswith(("make", "git", "bash .ci/run"))]
    assert found
    for command in found:
        run(command, folder)
        if "install" in command:
            assert "my_noise" in run("weightspace augmentations", folder)
    run("pip uninstall --quiet --yes my-noise", folder)


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_exist(file: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {word for command in commands(file) if command.startswith("make") for word in command.split()[1:]}
    assert named
    assert named <= targets


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"
