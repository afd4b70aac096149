"""Extracting and running code blocks of Markdown pages: ``python pages.py PAGE`` in a copy of the project."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?$")
REASON = re.compile(r"^<!-- ((?:not run: .+|run by \S+)) -->$")
#: Languages of the blocks that are run. A block with a title is written to the file of that name instead.
RUN = ("sh", "python", "yaml")
#: Targets of the Makefile create their own environments: it is checked that they exist, but they are not run.
MAKE = re.compile(r"^(make|bash \.ci/run)\b.*\n?", flags=re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, the file to which it is written, and the reason if it is not run."""

    line: int
    language: str
    title: str | None
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """Extracts the fenced code blocks of a page, in order."""
    found, reason, opened, inside = [], None, None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if opened:
            if line == "```":
                begin, (language, title) = opened
                found.append(Block(begin, language, title, "\n".join(inside) + "\n", reason))
                opened, reason, inside = None, None, []
            else:
                inside.append(line)
        elif line.startswith("```"):
            fence = FENCE.match(line)
            assert fence, f'{page}:{number}: a fence is ```language, perhaps with title="file", found {line}'
            opened = number, fence.groups()
        elif line.strip():
            comment = REASON.match(line)
            reason = comment[1] if comment else None
    assert opened is None, f"{page}: a block is not closed"
    return found


def run_page(page: Path) -> None:
    """Runs the blocks of a page in order in the current folder. Python blocks share one namespace."""
    module = sys.modules["page"] = types.ModuleType("page")  # classes of a page can be pickled
    sys.path.insert(0, "")  # so that modules written by the page can be imported
    for block in blocks(page):
        if block.reason or block.language not in (*RUN, "toml"):
            continue
        print(f"--- {page}:{block.line}", flush=True)
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, f"{page}:{block.line}", "exec"), module.__dict__)
        elif block.language == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", MAKE.sub("", block.text)], check=True)
        elif block.language == "yaml":  # a part of a configuration: only parsed
            Path("part.yaml").write_text(block.text, encoding="utf-8")
            options = ["-c", "experiments/quickstart.yaml", "-c", "part.yaml", "--print_config"]
            command = [sys.executable, "-m", "weightspace", "fit", *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
