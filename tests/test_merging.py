"""The script that measures lines between networks finds what is known, and writes its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import weightspace as ws
from weightspace.errors import ConfigError
from weightspace.sources import load_source


@pytest.fixture
def script(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("merging")


def test_copies_by_symmetries_have_no_barrier_once_they_are_aligned(classifier_zoo: Path, script: ModuleType) -> None:
    first, _ = script.best_pairs(ws.Zoo(classifier_zoo))
    generator = torch.Generator().manual_seed(0)
    copies = ws.GroupElement.random(first, first.spec.symmetries, generator).apply(first)
    source = load_source("classifiers", data="iris")
    found = script.line(first, copies, lambda batch: source.accuracies(batch)[:, 0], steps=5)
    walls = {name: script.barriers(accuracies) for name, accuracies in found.items()}
    assert walls["permutation+scale"].max() < 1e-6
    assert walls["permutation+scale"].mean() < walls["permutation"].mean() < walls["not aligned"].mean()
    assert torch.equal(ws.merge(first, copies, weight=0.0).params, first.params)


def test_pairs_are_the_best_in_order(classifier_zoo: Path, script: ModuleType) -> None:
    zoo = ws.Zoo(classifier_zoo)
    first, second = script.best_pairs(zoo)
    ordered = torch.stack([first.targets[:, 0], second.targets[:, 0]], dim=1).flatten()
    assert len(first) == script.PAIRS
    assert torch.equal(ordered, zoo.targets[zoo.views == 0, 0].sort(descending=True).values[: len(ordered)])


def test_the_page_gets_a_table_and_a_picture(classifier_zoo: Path, tmp_path: Path, script: ModuleType) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "p.png"
    mark, end = "<!-- measured by docs/merging.py -->", "<!-- end of measurement -->"
    page.write_text(f"before\n{mark}\nold\n{end}\nafter\n")
    for _ in range(2):
        script.main([str(classifier_zoo)] * 2, page, picture)
        text = page.read_text()
    assert text.startswith(f"before\n{mark}\n\n| networks | alignment |")
    assert text.endswith(f"\n{end}\nafter\n")
    assert "old" not in text
    rows = re.findall(r"^\| \d+ pairs of .* relu \| (.+) \|$", text, flags=re.MULTILINE)
    assert len(rows) == 6
    assert all(len(row.split("|")) == 6 for row in rows)
    assert picture.stat().st_size > 5_000


def test_a_page_without_marks_stays_as_it_is(classifier_zoo: Path, tmp_path: Path, script: ModuleType) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no lines <!-- measured by docs/merging.py"):
        script.main([str(classifier_zoo)], page, tmp_path / "p.png")
    assert page.read_text() == "nothing\n"


def test_other_zoos_are_refused(digits_zoo: Path, script: ModuleType) -> None:
    with pytest.raises(ConfigError, match="expected two or more networks with test accuracies"):
        script.measure(ws.Zoo(digits_zoo))
