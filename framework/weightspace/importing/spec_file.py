"""A network's architecture in a JSON file."""

from __future__ import annotations

from pathlib import Path

from weightspace.errors import SpecError, ZooError
from weightspace.spec import NetworkSpec

#: Name of the file.
SPEC = "spec.json"


def read_spec(path: Path) -> NetworkSpec:
    """Reads what ``NetworkSpec.to_json`` describes.

    Raises:
        ZooError: no such file, or not a spec.
    """
    try:
        return NetworkSpec.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ZooError(f"expected the networks' architecture in {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, SpecError, RecursionError) as error:
        raise ZooError(f"{path}: {error}") from error
