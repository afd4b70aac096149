"""Names of stored alignments: those that can be given, and the ones that follow from a reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from weightspace.errors import ConfigError
from weightspace.files.safe_yaml import load_yaml

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def check_alignment_name(name: object) -> str:
    """Returns a name under which an alignment can be stored.

    Raises:
        ConfigError: it cannot be the name of a folder, or YAML would not read it as text (``stored: 12``).
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(
            "name: expected a letter, then up to 63 letters, digits, dots, dashes and underscores, found "
            f"{name!r:.100}: it names a folder, and in a YAML file (stored: NAME) a number would not be a name"
        )
    if not isinstance(read := load_yaml(name), str):
        raise ConfigError(f"name: {name!r} in a YAML file (stored: {name}) is not text but {read}: take another name")
    return name


def default_name(reference: dict[str, Any]) -> str:
    """Name of an alignment that is given none: after its reference, with the name of the zoo that has it.

    Args:
        reference: see ``AlignmentHeader``.

    >>> default_name({"to": "zoos/digits:mean", "kind": "stored", "name": "mean", "digest": "..."})
    'digits-mean'
    """
    name = str(reference.get("name", reference["kind"]))
    if reference["kind"] == "network":
        name = f"object-{reference.get('object')}-view-{reference.get('view')}"
    folder, colon, _ = reference["to"].rpartition(":")
    return f"{_of_folder(folder)}-{name}"[:64] if colon else name


def _of_folder(folder: str) -> str:
    """The last part of a zoo's path, as the beginning of a name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(folder).resolve().name).strip("._-")
    return plain[:30] if plain[:1].isalpha() else f"zoo-{plain[:26]}".rstrip("-")
