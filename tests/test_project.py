"""Rules of the project that a machine can check."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "framework" / "weightspace"

MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_dependency_has_an_exact_tested_version() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    asked = set(re.findall(r'"([A-Za-z][\w-]+)(?:\[[\w,]+\])?(?:[>~]=[\d.,<]+)?"[,\]]', setup.split("setup(")[0]))
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
