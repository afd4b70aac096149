"""Writing a new plugin distribution from the templates of this package."""

from __future__ import annotations

import ast
import keyword
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from weightspace.entry_points import AUGMENTATIONS, BACKBONES, SOURCES, distribution, plugins
from weightspace.errors import ConfigError, closest

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: Endings of a template's files: others are what tools leave there.
ENDINGS = (".md", ".py", ".toml", ".yaml")


@dataclass(frozen=True)
class Template:
    """A kind of plugin, whose template is the folder ``template/<kind>``, itself a distribution.

    Attributes:
        name: of the template's distribution.
        group: of its entry point; None: experiments name the class by its dotted path.
        entry: whether the entry point's name is that of the module or of the class.
    """

    name: str
    group: str | None
    entry: Literal["module", "class"] = "module"


#: The kinds of plugins; the first is the default.
KINDS = {
    "augmentation": Template("scaled-noise", AUGMENTATIONS),
    "backbone": Template("neuron-norms", BACKBONES, "class"),
    "source": Template("plane-waves", SOURCES),
    "task": Template("balanced-classes", None),
}


@dataclass(frozen=True)
class Names:
    """The names of a plugin.

    Attributes:
        distribution: "my-noise".
        module: "my_noise".
        cls: "MyNoise".
    """

    distribution: str
    module: str
    cls: str

    @classmethod
    def of(cls, name: str) -> Names:
        """Derives the names from that of the distribution.

        >>> Names.of("my-noise")
        Names(distribution='my-noise', module='my_noise', cls='MyNoise')
        """
        words = name.split("-")
        return cls(name, "_".join(words), "".join(word.capitalize() for word in words))

    def entry(self, kind: str) -> str:
        """Name of the plugin in commands and experiments."""
        template = KINDS[kind]
        if template.group is None:
            return f"{self.module}.{self.cls}"
        return self.cls if template.entry == "class" else self.module


def render(name: str, kind: str) -> dict[str, str]:
    """The files of a plugin: path -> text.

    Args:
        name: of the distribution, for instance my-noise; the module is my_noise, the class MyNoise.
        kind: one of ``KINDS``.
    """
    before, after = Names.of(KINDS[kind].name), Names.of(name)
    words = {getattr(before, form): getattr(after, form) for form in ("distribution", "module", "cls")}
    pattern = re.compile("|".join(map(re.escape, words)))

    def translated(text: str) -> str:
        return pattern.sub(lambda match: words[match.group()], text)

    return {translated(path): translated(text) for path, text in sorted(_texts(kind).items())}


def write_plugin(name: str, out: Path, kind: str = "augmentation") -> list[Path]:
    """Writes the files below a new folder, and returns their paths.

    Args:
        name: of the distribution, for instance my-noise.
        out: the folder, which must not exist.
        kind: one of ``KINDS``.

    Raises:
        ConfigError: unknown kind; the name is not one for a distribution or is taken; the folder exists or cannot be
            written.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of plugin {kind!r}: {closest(kind, KINDS)}")
    check_name(name, kind)
    if out.exists():
        raise ConfigError(f"{out} exists: choose another name, or another folder (out)")
    files = render(name, kind)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".plugin-") as folder:
            whole = Path(folder) / "whole"
            for path, text in files.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_text(text, encoding="utf-8")
            whole.rename(out)
    except OSError as error:
        raise ConfigError(f"the plugin cannot be written to {out}: {error.strerror}") from error
    return [out / path for path in files]


def check_name(name: str, kind: str) -> None:
    """Raises ConfigError if a plugin of this name could not be installed, or would shadow a module."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"plugin name: expected lower-case words joined by hyphens, like my-noise, found {name!r}")
    names, group = Names.of(name), KINDS[kind].group
    entry = names.entry(kind)
    if group is not None and entry in plugins(group):
        owners = " and ".join(distribution(point) for point in plugins(group)[entry])
        raise ConfigError(f"plugin name {name!r}: {owners} offers the {kind} {entry!r} already")
    if names.cls in _imported(kind) or keyword.iskeyword(names.cls) or keyword.iskeyword(names.module):
        raise ConfigError(f"plugin name {name!r}: its class {names.cls} would hide a name that it needs itself")
    if find_spec(names.module) is not None:
        raise ConfigError(
            f"plugin name {name!r}: the module {names.module!r} exists already in Python, choose another name"
        )


def _imported(kind: str) -> set[str]:
    """Names that the files of a template import."""
    trees = [ast.parse(text) for path, text in _texts(kind).items() if path.endswith(".py")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def _texts(kind: str) -> dict[str, str]:
    found = _below(files("weightspace.testing") / "template" / kind)
    return {path: entry.read_text(encoding="utf-8") for path, entry in found if path.endswith(ENDINGS)}


def _below(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
