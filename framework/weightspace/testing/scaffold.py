"""Writes a new plugin: a complete distribution with one augmentation, from the template of this package."""

from __future__ import annotations

import keyword
import re
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from weightspace.augment.registry import GROUP
from weightspace.entry_points import distribution, plugins
from weightspace.errors import ConfigError

#: The template is a distribution of this name; its files end in .txt, so that no tool takes them for ours.
TEMPLATE_NAME = "scaled-noise"
#: Names that the template's files import.
TAKEN = ("Tensor", "Augmentation", "WeightBatch", "NetworkSpec", "AugmentationError")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def render(name: str) -> dict[str, str]:
    """The files of a plugin: path -> text.

    Args:
        name: of the distribution, for instance my-noise; module and entry point are my_noise, the class MyNoise.
    """
    words = dict(zip(_forms(TEMPLATE_NAME), _forms(name), strict=True))
    pattern = re.compile("|".join(map(re.escape, words)))

    def translated(text: str) -> str:
        return pattern.sub(lambda match: words[match.group()], text)

    found = _texts(files("weightspace.testing") / "template")
    return {translated(path.removesuffix(".txt")): translated(text) for path, text in sorted(found.items())}


def write_plugin(name: str, out: Path) -> list[Path]:
    """Writes the files below a new folder, and returns their paths.

    Raises:
        ConfigError: the name is not one for a distribution or is taken, the folder exists or cannot be written.
    """
    check_name(name)
    if out.exists():
        raise ConfigError(f"{out} exists: choose another name, or another folder with --out")
    files = render(name)
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


def check_name(name: str) -> None:
    """Raises ConfigError where a plugin of this name could not be installed or would hide something."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"plugin name: expected lower-case words joined by hyphens, like my-noise, found {name!r}")
    module = _forms(name)[1]
    if module in plugins(GROUP):
        owners = " and ".join(distribution(point) for point in plugins(GROUP)[module])
        raise ConfigError(f"plugin name {name!r}: {owners} offers the augmentation {module!r} already")
    taken = _forms(name)[2] in TAKEN or keyword.iskeyword(_forms(name)[2])
    if taken or keyword.iskeyword(module):
        raise ConfigError(f"plugin name {name!r}: its class {_forms(name)[2]} would hide a name that it needs itself")
    if find_spec(module) is not None:
        raise ConfigError(f"plugin name {name!r}: the module {module!r} exists already in Python, choose another name")


def _forms(name: str) -> tuple[str, str, str]:
    """ "my-noise" -> ("my-noise", "my_noise", "MyNoise")."""
    words = name.split("-")
    return name, "_".join(words), "".join(word.capitalize() for word in words)


def _texts(folder: Traversable, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".txt"):
            found[prefix + entry.name] = entry.read_text(encoding="utf-8")
    return found
