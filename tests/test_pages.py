"""The code of README, CONTRIBUTING and docs runs as a newcomer would run it, and their links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import weightspace as ws
import yaml
from pages import MAKE, RUN, blocks

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "experiments/README.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
#: Not code: what a command prints, or how a folder is laid out.
TEXT = "text"


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


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
def test_the_site_is_built(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    run("make docs", folder)
    assert len(list((folder / "site").rglob("*.html"))) > len(list((ROOT / "docs").rglob("*.md")))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo of docs/start.md, which other pages presuppose."""
    folder = clone(tmp_path_factory.mktemp("digits") / "clone")
    fit = next(block.text for block in blocks(ROOT / "docs" / "start.md") if "zoo fit" in block.text)
    run(fit, folder)
    return folder / "zoos"


def runs(page: Path) -> bool:
    return any(block.language in RUN and not block.reason and MAKE.sub("", block.text) for block in blocks(page))


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=named)
def test_code_runs(page: Path, digits: Path, tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    shutil.copytree(digits, folder / "zoos")
    try:
        run(f"{sys.executable} {ROOT}/tests/support/pages.py {named(page)}", folder)
    finally:
        run("pip uninstall --quiet --yes my-noise my-task", folder)


@pytest.mark.long
def test_the_pictures_of_concepts_are_drawn(digits: Path, tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    shown = {name for page in PAGES for name in re.findall(r"pictures/(\w+\.png)", page.read_text(encoding="utf-8"))}
    drawn = {"overview.png", "layers.png", "symmetries.png", "views.png", "alignment.png", "worth.png"}
    shutil.rmtree(folder / "docs" / "pictures")
    run(f"{sys.executable} docs/figures.py {digits}/digits", folder)
    assert {path.name for path in (folder / "docs" / "pictures").iterdir()} == drawn <= shown


def test_every_study_has_its_table_on_a_page() -> None:
    table = re.compile(r"<!-- table of experiments/studies/(\w+)\.yaml -->\n.*?<!-- end of table -->", re.DOTALL)
    shown = [name for page in PAGES for name in table.findall(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(path.stem for path in (ROOT / "experiments" / "studies").glob("*.yaml"))


@pytest.mark.studies
def test_tables_of_results_are_those_of_their_records(tmp_path: Path) -> None:
    run(f"{sys.executable} docs/tables.py --check", ROOT)
    folder = clone(tmp_path / "clone")
    (record,) = folder.glob("experiments/studies/precision_gnn.study.json")
    record.write_text(record.read_text().replace('"test/accuracy": 0.4', '"test/accuracy": 0.5'))
    refused = subprocess.run(
        [sys.executable, "docs/tables.py", "--check"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "benchmarks/README.md: not as recorded: python docs/tables.py\n")
    (folder / "experiments" / "studies" / "augmentations.study.json").unlink()
    run(f"{sys.executable} docs/tables.py", folder)
    run(f"{sys.executable} docs/tables.py --check", folder)
    page = (folder / "experiments" / "README.md").read_text()
    assert "augmentations.yaml -->\n\nThis study has not been run yet.\n\n<!-- end of table -->" in page


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        where = f"{named(page)}:{block.line}"
        if block.reason and block.reason.startswith("run by "):
            assert (ROOT / block.reason.removeprefix("run by ")).is_file(), f"{where}: no such test: {block.reason}"
        elif block.language == "toml":
            assert tomllib.loads(block.text), where
        elif not block.reason:
            assert block.language in (*RUN, TEXT), f"{where}: say above it <!-- not run: the reason -->"
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict), where


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_code_is_fenced(page: Path) -> None:
    outside = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(
        r"(?<=\n\n) {4}[^ :].*", re.sub(r"^([-*:]|\d+\.).*?(?=^\S)", "", outside, flags=re.DOTALL | re.M)
    )
    assert not indented


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    used = {
        word for page in PAGES for block in blocks(page) if block.language == "sh"
        for line in block.text.splitlines() if line.startswith("make ") for word in line.split()[1:]
    }  # fmt: skip
    assert {"quickstart", "test"} <= used <= targets


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *PAGES]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_site_shows_every_page() -> None:
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    shown = set(re.findall(r"[\w/-]+\.md$", configuration, flags=re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    elsewhere = {"results.md", "benchmarks.md", "contributing.md", "changelog.md"}
    assert shown == pages | elsewhere


def test_the_reference_has_every_public_name() -> None:
    reference = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md")}
    described = set(re.findall(r"^::: [\w.]+\.(\w+)$", "\n".join(reference.values()), flags=re.MULTILINE))
    listed = set(re.findall(r"`ws\.(\w+)`", reference["index.md"]))
    public = set(ws.__all__) - {"__version__"}
    assert public <= described
    assert public == listed


def test_what_is_added_touches_three_files_that_are_there() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| an? (\w+) \| (.+) \|$", guide, flags=re.MULTILINE))
    kinds = {"augmentation", "backbone", "source", "importer", "recipe", "task", "callback", "metric", "activation"}
    assert kinds <= set(rows)
    for kind, files in rows.items():
        assert len(files.split("; ")) <= 3, kind
        for path in re.findall(r"`(\w+/[\w./]*)`", files):
            assert any((folder / path).exists() for folder in (ROOT, ROOT / "framework" / "weightspace")), path
