"""The code of docs/python.md: as a script, and as a cell of a notebook, with fewer networks, steps and epochs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
SMALLER = {"train": 40, "val": 10, "test": 16, "steps": 3, "max_epochs": 1}


def cells() -> list[str]:
    """The Python blocks of the page with small numbers, but for checks of contracts, which have tests of their own."""
    texts = [block.text for block in blocks(PAGE) if block.language == "python" and "ws.check_" not in block.text]
    for name, value in SMALLER.items():
        texts = [re.sub(rf"\b{name}=\d+(?![\d.])", f"{name}={value}", text) for text in texts]
    return texts


def test_the_page_is_a_script(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text("\n".join(cells()), encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_its_first_block_is_a_cell_of_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}  # neither __main__ nor a file
    exec(compile(cells()[0], "<cell>", "exec"), names)
    assert repr(names["zoo"]).startswith("Zoo zoos/python: 66 networks")
    assert len(names["moved"]) == len(names["batch"]) == len(names["turned"]) == 8  # type: ignore[arg-type]
