"""The rooms of the package, and which of them never import which."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "framework" / "weightspace"

WINGS = {
    "making": {"sources", "fitting", "importing"},
    "learning": {"augment", "data", "backbones", "runs", "tasks", "callbacks"},
    "zoo": {"zoo"},
    "both": {"figures", "testing", "studies", "cli"},
}
#: What must not be reached from where, neither directly nor through what is imported, within functions included.
NEVER = {
    "making": {"learning", "both"},
    "learning": {"making"},
    "zoo": {"making", "learning", "both"},
    "vocabulary": {"making", "learning", "both", "zoo"},
}


def imports(path: Path) -> list[str]:
    """Dotted names of the modules that a file imports, functions' own and those for types included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("weightspace", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def wing_of(module: str) -> str:
    """The wing of a module; the front door and ``__main__`` stand outside, all else is vocabulary."""
    room = module.removeprefix("weightspace").lstrip(".").partition(".")[0]
    if room in ("", "__main__"):
        return "front door"
    return next((wing for wing, rooms in WINGS.items() if room in rooms), "vocabulary")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if "template" not in path.parts}


def module_called(dotted: str) -> str | None:
    """The module of this package that an imported name is, or is in."""
    return next((name for name in (dotted, dotted.rpartition(".")[0]) if name in MODULES), None)


GRAPH = {
    name: {found for found in map(module_called, imports(path)) if found and found != name}
    for name, path in MODULES.items()
}


def reached(module: str) -> dict[str, str]:
    """Modules that an import of this one brings along, each with the module that imports it."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        here = waiting.pop()
        packages = {package for name in GRAPH[here] if "." in (package := name.rpartition(".")[0])}
        for other in (GRAPH[here] | packages) - found.keys():
            found[other] = here
            waiting.append(other)
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_wings_meet_at_the_zoo_alone(module: str) -> None:
    for other, importer in reached(module).items():
        assert wing_of(other) not in NEVER.get(wing_of(module), set()), f"{module} reaches {other}, by {importer}"


def test_nobody_imports_the_command_line() -> None:
    for module, others in GRAPH.items():
        if not module.startswith(("weightspace.cli", "weightspace.__main__")):
            assert not {name for name in others if name.startswith("weightspace.cli")}, module


def test_the_framework_never_imports_a_plugin() -> None:
    for path in MODULES.values():
        assert not any(name.startswith("weightspace_plugins") for name in imports(path)), path


def test_no_import_goes_in_a_circle() -> None:
    rooms: dict[str, set[str]] = {}
    for module, others in GRAPH.items():
        room, into = module.split(".")[1:2], {name.split(".")[1] for name in others if "." in name}
        if room:
            rooms.setdefault(room[0], set()).update(into - {room[0]})
    for graph in (GRAPH, rooms):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            raise AssertionError(f"imports in a circle: {' imports '.join(reversed(error.args[1]))}") from None


def test_few_modules_lie_at_the_root() -> None:
    lying = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert len(lying) <= 12, f"give some a room: {sorted(lying)}"


PLUGINS = sorted([*(ROOT / "plugins").rglob("*.py"), *(PACKAGE / "testing" / "template").rglob("*.py")])


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: p.name)
def test_plugins_import_public_names_only(path: Path) -> None:
    for name in imports(path):
        if name.startswith("weightspace"):
            assert not any(part.startswith("_") for part in name.split("."))
