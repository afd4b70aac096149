"""The configurations of the parts of a resumed run, and the differences between them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from weightspace.runs.flat_config import PLACES, flatten, load_config
from weightspace.runs.folder import RunFolder


def part_of(folder: RunFolder) -> int:
    """Number of the newest part with a configuration file (``config.yaml``, ``config-2.yaml``, ...); 0: none."""
    numbers = [re.fullmatch(r"config(?:-(\d+))?\.yaml", path.name) for path in folder.path.glob("config*.yaml")]
    return max((int(found.group(1) or 1) for found in numbers if found), default=0)


def part_name(name: str, part: int) -> str:
    """Name of a file that belongs to a part of a run.

    >>> part_name("config.yaml", 1), part_name("config.yaml", 2)
    ('config.yaml', 'config-2.yaml')
    """
    path = Path(name)
    return name if part == 1 else f"{path.stem}-{part}{path.suffix}"


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Describes the differences of two configurations of a run, except its paths and how it was started.

    >>> differences({"data": {"augmentations": ["sign_flip", {"mixup": {"alpha": 0.4}}]}},
    ...     {"data": {"augmentations": [{"mixup": {"alpha": 0.2}}]}})
    ['data.augmentations.mixup.alpha: 0.4 before, 0.2 now', 'data.augmentations.sign_flip: {} before, not there now']
    """
    old, new = (flatten(_with_named_chain(config)) for config in (before, now))
    if old.keys() != new.keys():  # an added or removed augmentation implies the new order
        old.pop("data.augmentations.order", None)
        new.pop("data.augmentations.order", None)
    return [
        f"{key}: {old.get(key, 'not there')} before, {new.get(key, 'not there')} now"
        for key in sorted({*old, *new})
        if key not in PLACES and old.get(key) != new.get(key)
    ]


def describe_differences(folder: RunFolder, part: int) -> list[str]:
    """Describes the ``differences`` of a part's configuration from the previous part; none for the first part."""
    if part < 2:
        return []
    paths = [folder.path / part_name("config.yaml", number) for number in (part - 1, part)]
    before, now = (load_config(path) for path in paths)
    return differences(before, now)


def _with_named_chain(config: dict[str, Any]) -> dict[str, Any]:
    """Converts the list of augmentations to a dictionary by name and, for repeated names, occurrence."""
    data = config.get("data")
    chain = data.get("augmentations") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(chain, list) or not chain:
        return config
    named: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for item in chain:
        name, given = next(iter(item.items())) if isinstance(item, dict) and item else (str(item), {})
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name}#{seen[name]}"] = given or {}
    return {**config, "data": {**data, "augmentations": {**named, "order": ", ".join(named)}}}
