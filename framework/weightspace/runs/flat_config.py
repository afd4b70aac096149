"""Flattening a resolved configuration to dotted keys, for TensorBoard and for comparing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from weightspace.errors import ConfigError
from weightspace.files import read_regular
from weightspace.files.safe_yaml import load_yaml

#: Largest size of a configuration in bytes.
LIMIT = 4_000_000
#: Keys about where runs are and how they were started, which do not affect the result.
PLACES = (
    "config", "experiment", "runs", "ckpt_path", "overwrite", "auto_resume", "weights_only", "trainer.default_root_dir",
)  # fmt: skip


def read_flat(path: Path) -> dict[str, Any]:
    """Reads the flat keys of a run's ``config.yaml``; empty if there is no such file.

    Raises:
        ConfigError: the file is damaged.
    """
    return flatten(load_config(path)) if path.exists() else {}


def load_config(path: Path) -> dict[str, Any]:
    """Reads a run's ``config.yaml``.

    Raises:
        ConfigError: the file is missing or damaged.
    """
    try:
        content = load_yaml(read_regular(path, LIMIT).decode())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ConfigError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} should be the configuration of a run, and cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} should be the configuration of a run; found {type(content).__name__}")
    return content


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens a configuration to dotted keys; the value of a class is its name, with its arguments below it.

    >>> flatten({"model": {"class_path": "nets.DWS", "init_args": {"hidden": 8}}, "data": {"sizes": [1, 2]}})
    {'model': 'DWS', 'model.hidden': 8, 'data.sizes': '[1, 2]'}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if key == "init_args" and isinstance(value, dict):
            flat |= flatten(value, prefix)
        elif key == "class_path":
            flat[prefix.rstrip(".")] = str(value).rpartition(".")[2]
        elif isinstance(value, dict) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, (bool, int, float, str)) else _text(value)
    return flat


def differing(configs: list[dict[str, Any]]) -> list[str]:
    """Keys in which flat configurations differ, except seeds and paths; zoos are compared by name.

    >>> differing([{"a": 1, "data.seed": 0, "data.zoo": "x/z"}, {"a": 2, "data.seed": 1, "data.zoo": "y/z"}])
    ['a']
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    return [
        key
        for key in keys
        if key.rpartition(".")[2] not in ("seed", "seed_everything")
        and key not in PLACES
        and len({value_text(key, config) for config in configs}) > 1
    ]


def value_text(key: str, config: dict[str, Any]) -> str:
    """Formats a value of a flat configuration; "none" if it is missing; of zoos, the names.

    >>> value_text("data.zoo", {"data.zoo": "[zoos/a, zoos/b]"})
    'a, b'
    """
    value = config.get(key, "none")
    if key not in ("data.zoo", "data.test_zoo"):
        return str(value)
    paths = str(value).strip("[]").split(", ") if str(value).startswith("[") else [str(value)]
    return ", ".join(Path(path).name for path in paths)


def _text(value: Any) -> str:
    return "null" if value is None else yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
