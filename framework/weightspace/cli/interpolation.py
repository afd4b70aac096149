"""What to write where ``${...}`` in a configuration names no key."""

from __future__ import annotations

import difflib
import re
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException


def unresolved(error: OmegaConfBaseException) -> str:
    """Says which value cannot be resolved and, where a key is near, how it is written from there."""
    first = str(error).splitlines()[0]
    match = re.search(r"Interpolation key '(.+?)' not found(?: \(resolved to '(.+?)'\))?", first)
    if match is None or not error.full_key or error.parent_node is None:
        return f"the configuration cannot be resolved: {first}"
    command, *place = re.split(r"\.|\[", error.full_key.replace("]", ""))
    wanted = (match[2] or match[1]).removeprefix(f"{command}.").lstrip(".")
    whole: Any = OmegaConf.to_container(error.parent_node._get_root(), resolve=False)
    known = _keys(whole[command])
    text = f"{'.'.join(place)}: there is no key ${{{match[1]}}}"
    close = difflib.get_close_matches(wanted, known, n=1)
    if not close:
        return f"{text}; keys are relative to where they stand: .key is beside it, ..key one level further out"
    form = f"${{{'.' * len(place)}{close[0]}}}"
    return f"{text}: keys are relative: write {form}" if close[0] == wanted else f"{text}: did you mean {form}?"


def _keys(value: Any, before: str = "") -> list[str]:
    """The dotted names of all that a configuration holds."""
    if not isinstance(value, dict):
        return [before]
    names = [name for key, inner in value.items() for name in _keys(inner, f"{before}.{key}" if before else str(key))]
    return [before, *names] if before else names
