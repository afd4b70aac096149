"""The public names of the package, and that nothing hides them."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import weightspace as ws

ROOT = Path(__file__).parents[1]
PACKAGE = Path(ws.__file__).parent
#: Packages with names for authors of plugins, or for everybody; all others say that they are internal.
PUBLIC = {
    "layers",
    "augment",
    "backbones",
    "callbacks",
    "data",
    "distributed",
    "fitting",
    "importing",
    "sources",
    "symmetry",
    "tasks",
    "testing",
    "zoo",
}
INTERNAL = "Internal: may change in any release."


@pytest.mark.parametrize("name", ws.__all__)
def test_every_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    found = getattr(ws, name)
    assert name in dir(ws)
    assert name.startswith("__") or inspect.getdoc(found)


def test_names_are_sorted() -> None:
    assert ws.__all__ == sorted(ws.__all__)


def test_no_module_hides_a_name() -> None:
    for module in pkgutil.walk_packages(ws.__path__, "weightspace."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    assert not {module.name for module in pkgutil.iter_modules(ws.__path__)} & set(ws.__all__)
    assert not [name for name in ws.__all__ if isinstance(getattr(ws, name), ModuleType)]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(ws.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {name: f"weightspace.{home}" for name, home in ws._HOME_OF.items()} == seen
    assert [*sorted({*seen, "__version__"})] == ws.__all__
    assert (PACKAGE / "py.typed").exists()


def test_a_wrong_name_gets_the_closest() -> None:
    with pytest.raises(AttributeError, match="no attribute 'SupervizedTask': did you mean 'SupervisedTask'"):
        ws.SupervizedTask  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, weightspace; print(*{'torch', 'lightning', 'numpy', 'matplotlib', 'yaml'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_packages_without_public_names_say_that_they_are_internal() -> None:
    packages = {module.name for module in pkgutil.iter_modules(ws.__path__) if module.ispkg}
    said = {name for name in packages if INTERNAL in (import_module(f"weightspace.{name}").__doc__ or "")}
    assert said == packages - PUBLIC


def test_plugins_use_no_internal_package() -> None:
    pages = [
        ROOT / "docs" / "plugins.md",
        *(ROOT / "plugins").rglob("*.py"),
        *(PACKAGE / "testing/template").rglob("*.py"),
    ]
    for page in pages:
        used = set(re.findall(r"(?:from|import) weightspace\.(\w+)", page.read_text(encoding="utf-8")))
        assert not {name for name in used if (PACKAGE / name).is_dir()} - PUBLIC, page
