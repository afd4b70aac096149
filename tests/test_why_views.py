"""The script that measures how far apart views are finds what is known, and writes its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import weightspace as ws
import yaml
from weightspace.cli.main import main
from weightspace.errors import ConfigError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("why_views")


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (["permute"], "permutation"),
        (["permute", "sign_flip"], "permutation+sign"),
        (["permute", "sign_flip", {"phase_shift": {"multiples": 1}}], "auto"),
    ],
)
def test_alignment_removes_the_symmetries_that_it_names(
    names: list, group: str, script: ModuleType, random_batch: Callable[..., ws.WeightBatch]
) -> None:
    first = random_batch()
    other = first
    for entry in names:
        name, arguments = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
        other = ws.augmentation(name, **arguments)(other, seed=1)
    assert script.distances(first, other).min() > 0.1
    assert script.distances(first, script.moved(first, other, group)).max() < 1e-6
    assert script.distances(first, script.moved(first, other, None)).equal(script.distances(first, other))


def test_the_level_is_that_of_noise_on_both(script: ModuleType, random_batch: Callable[..., ws.WeightBatch]) -> None:
    first = random_batch(widths=(2, 32, 32, 1), count=200)
    factors = [0.3, 0.7, 0.2, 0.6, 1.2, 0.5]
    noise = ws.augmentation("gaussian_noise", scale=1.0, factors=factors)
    found = script.noise_levels(*(noise(first, seed=seed) for seed in (8, 9)))
    own = [(1 + factor**2) ** 0.5 for factor in factors]  # noise adds to the deviation of the entries, too
    assert found[:5] == pytest.approx([factor / size for factor, size in zip(factors, own, strict=True)][:5], rel=0.05)
    assert found[5] == 0.0, "a tensor of one entry has no deviation"


def test_unrelated_networks_are_at_a_distance_of_one(
    script: ModuleType, random_batch: Callable[..., ws.WeightBatch]
) -> None:
    batch = random_batch(widths=(2, 32, 32, 1), count=40)
    assert script.distances(batch[:20], batch[20:]).mean() == pytest.approx(1, abs=0.02)
    assert not script.distances(batch, batch).any()


def test_partners_are_what_they_are_called(zoo: ws.Zoo, script: ModuleType) -> None:
    first, second = script.first_and_second_views(zoo)
    assert len(first) == 60
    assert torch.equal(first.objects, second.objects)
    assert (set(first.views.tolist()), set(second.views.tolist())) == ({0}, {1})
    found = script.partners(first, second)
    assert torch.equal(found["same object"].objects, first.objects)
    assert torch.equal(found["same class"].targets, first.targets)
    assert (found["same class"].objects != first.objects).all()
    assert (found["another class"].targets != first.targets).all()


def test_the_page_gets_tables_and_picture(digits_zoo: Path, tmp_path: Path, script: ModuleType) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "p.png"
    mark, end = "<!-- measured by docs/why_views.py -->", "<!-- end of measurement -->"
    page.write_text(f"before\n{mark}\nold\n{end}\nafter\n")
    for _ in range(2):
        script.main(str(digits_zoo), page, picture)
        text = page.read_text()
        assert text.startswith(f"before\n{mark}\n\n60 pairs of each kind, of networks 2-8-8-1 sine")
        assert text.endswith(f"\n{end}\nafter\n")
        assert "old" not in text
    rows = re.findall(r"^\| and phases \|(.+)\|$", text, flags=re.MULTILINE)
    distances, noise = ([cell.strip() for cell in row.split("|")] for row in rows)
    assert all(0 < float(distance) < 1 for distance in distances[:3])
    assert all(share.endswith("%") for share in distances[3:])
    assert (len(noise), noise[-1]) == (6, "0.00")
    assert picture.stat().st_size > 5_000


def test_zoos_without_a_second_view_are_refused(tmp_path: Path, script: ModuleType) -> None:
    fit = "zoo fit --source digits --recipe siren --set steps=2 hidden=[4] --train 8"
    assert main([*fit.split(), "--out", str(tmp_path / "z")]) == 0
    with pytest.raises(ConfigError, match="two views of each training object"):
        script.measure(ws.Zoo(tmp_path / "z"))


def test_the_study_has_the_noise_of_the_page() -> None:
    page = (ROOT / "docs" / "why-views.md").read_text(encoding="utf-8")
    row = re.findall(r"^\| and phases \|(.+)\|$", page, flags=re.MULTILINE)[-1]
    measured = [float(cell) for cell in row.split("|")]
    study = yaml.safe_load((ROOT / "experiments" / "studies" / "why_views.yaml").read_text(encoding="utf-8"))
    for name in ("noise as between views", "half of that noise"):
        (noise,) = study["variants"][name]["data.augmentations"]
        assert noise["gaussian_noise"]["factors"] == measured
