"""Rules of the project that a machine can check."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "framework" / "weightspace"

#: A module imports only from modules above it, and from its own group. errors may be imported from everywhere.
LAYERS = [
    "errors", "names", "metric_text", "limits", "shown", "files", "reading", "safe_yaml", "flat_config", "walk",
    "class_folders", "lock", "sealed", "version", "constructed", "entry_points", "peers", "distributed", "targets",
    "checkpoint_io", "spec", "batch", "network", "symmetry", "sources", "zoo", "importing", "fitting", "augment",
    "solids", "drawing", "overview", "losses", "sampling", "loading", "data", "backbones", "encoder", "tasks",
    "run_folder", "comparison", "run_parts", "curves", "callbacks", "testing", "cli", "__main__",
]  # fmt: skip


def imports(path: Path) -> list[str]:
    """Dotted names of the modules that a file imports, functions' own imports included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_up(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        assert not name.startswith("weightspace_plugins"), "the framework never imports a plugin"
        parts = name.split(".")
        if parts[0] != "weightspace" or own == "__init__":
            continue
        other = parts[1]
        assert other in (*LAYERS, "__version__"), f"{other} has no place in LAYERS"
        if other in LAYERS:
            assert LAYERS.index(other) <= LAYERS.index(own), f"{own} imports {other}, which is below it"


PLUGINS = sorted([*(ROOT / "plugins").rglob("*.py"), *(PACKAGE / "testing" / "template").rglob("*.py")])


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: p.name)
def test_plugins_import_public_names_only(path: Path) -> None:
    for name in imports(path):
        if name.startswith("weightspace"):
            assert not any(part.startswith("_") for part in name.split("."))


def test_every_dependency_has_an_exact_tested_version() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    asked = set(re.findall(r'"([A-Za-z][\w-]+)(?:\[[\w,]+\])?(?:>=[\d.]+)?"[,\]]', setup.split("setup(")[0]))
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w-]+)==", pins, flags=re.MULTILINE))
    assert asked
    assert asked <= pinned, f"not in constraints.txt: {asked - pinned}"


def test_files_are_only_unpickled_safely() -> None:
    for path in MODULES:
        if path == PACKAGE / "testing" / "augmentation_rules.py":  # reads the bytes that it has just made in memory
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads"):
                arguments = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert arguments.get("weights_only") == "True", f"{path}:{node.lineno}"
