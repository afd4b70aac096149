"""Reading the architecture of networks from a JSON file."""

from __future__ import annotations

from pathlib import Path

from weightspace.errors import SpecError, ZooError
from weightspace.files import read_json
from weightspace.spec import NetworkSpec

#: Name of the file.
SPEC = "spec.json"


def read_spec(path: Path) -> NetworkSpec:
    """Reads a file with the result of ``NetworkSpec.to_json``.

    Raises:
        ZooError: the file is missing, or not a spec.
    """
    data = read_json(path, ZooError, "the networks' architecture")
    try:
        return NetworkSpec.from_json(data)
    except SpecError as error:
        raise ZooError(f"{path}: {error}") from error
