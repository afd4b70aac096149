"""Changes of a configuration, written as in its YAML or with dotted keys as on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from weightspace.errors import ConfigError, closest

#: A word in braces, which can stand for a name.
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
#: Share of letters from which on a word is taken for a misspelt one: {epoch} of checkpoints' names is far below it.
_LIKE = 0.75


def undotted(changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Nests dotted keys; values are as they were given.

    Args:
        changes: keys may be dotted at every level.
        where: the place of the changes, for messages.

    Raises:
        ConfigError: a key is no text, or one value is given twice.

    >>> undotted({"trainer.max_epochs": 3, "data": {"batch_size": 8}}, "variant 'short'")
    {'trainer': {'max_epochs': 3}, 'data': {'batch_size': 8}}
    """
    nested: dict[str, Any] = {}
    for key, value in changes.items():
        if not isinstance(key, str) or not all(key.split(".")):
            raise ConfigError(f"{where}: expected keys like trainer.max_epochs, found {key!r}")
        inner = undotted(value, f"{where}, {key}") if isinstance(value, Mapping) else value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        if twice := sorted(leaves(nested).keys() & leaves(inner).keys()):
            raise ConfigError(f"{where}: {twice[0]} is given twice")
        nested = _joined(nested, inner)
    return nested


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both parts of one mapping, which have no value in common."""
    both = {**first, **second}
    return both | {key: _joined(first[key], second[key]) for key in first.keys() & second.keys()}


def merged(below: Mapping[str, Any], above: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Puts changes above a configuration: mappings are merged, all other values, lists too, are replaced.

    Another ``class_path`` also replaces the ``init_args`` beside it, which belong to the class.

    Args:
        below: the configuration, or changes.
        above: the changes.
        base: what both change, whose class ``init_args`` belong to where ``below`` names none.

    >>> merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}})
    {'a': {'b': 1, 'c': [3]}}
    >>> merged({"class_path": "DWS", "init_args": {"hidden": 16}}, {"class_path": "MLP"})
    {'class_path': 'MLP'}
    >>> merged({"init_args": {"hidden": 8}}, {"class_path": "DWS"}, base={"class_path": "DWS"})
    {'init_args': {'hidden': 8}, 'class_path': 'DWS'}
    """
    base = base or {}
    if "class_path" in above and above["class_path"] != below.get("class_path", base.get("class_path")):
        below = {key: value for key, value in below.items() if key != "init_args"}
    both = dict(below)
    for key, value in above.items():
        own, known = both.get(key), base.get(key)
        if isinstance(own, Mapping) and isinstance(value, Mapping):
            value = merged(own, value, known if isinstance(known, Mapping) else None)
        both[key] = value
    return both


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Puts names in the place of their keys in braces, in all texts of a configuration.

    >>> filled({"encoder": "runs/{variant}/0", "rates": [1, "{other}"]}, {"variant": "all"})
    {'encoder': 'runs/all/0', 'rates': [1, '{other}']}
    """
    if isinstance(value, Mapping):
        return {key: filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names) for inner in value]
    if isinstance(value, str):
        for key, name in names.items():
            value = value.replace(f"{{{key}}}", name)
    return value


def placeholders(text: str) -> list[str]:
    """The words in braces.

    >>> placeholders("runs/{variant}/0")
    ['variant']
    """
    return _PLACEHOLDER.findall(text)


def check_placeholders(value: Any, names: Mapping[str, str], where: str) -> None:
    """Checks that no text has a misspelt name in braces; other words in braces are the texts' own.

    Args:
        value: a configuration.
        names: see ``filled``.
        where: the place of the configuration, for messages.

    Raises:
        ConfigError: a word in braces is nearly a name.
    """
    for text in _texts(value):
        for word in placeholders(text):
            if word not in names and get_close_matches(word, names, cutoff=_LIKE):
                raise ConfigError(f"{where}: {{{word}}} in {text!r:.120} stands for nothing: {closest(word, names)}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def leaves(config: Any, prefix: str = "") -> dict[str, Any]:
    """The values of a configuration by dotted key; a list is one value, and so is an empty mapping.

    >>> leaves({"model": {"init_args": {"hidden": 8}}, "seeds": [0, 1]})
    {'model.init_args.hidden': 8, 'seeds': [0, 1]}
    """
    if not isinstance(config, Mapping) or not config:
        return {prefix: config} if prefix else {}
    inner = (leaves(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in config.items())
    return {key: value for part in inner for key, value in part.items()}


def changed_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Dotted keys of the values that two configurations do not share.

    >>> changed_keys({"a": {"b": 1}, "c": 2}, {"a": {"b": 1}, "c": 3, "d": None})
    ['c', 'd']
    """
    a, b = leaves(first), leaves(second)
    return [key for key in dict.fromkeys([*a, *b]) if key not in a or key not in b or a[key] != b[key]]
