"""In what two jobs differ, in the words of the arguments that a user gave."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

#: What a field of a job's part is called; a part that is not listed comes before its field's name.
FIELDS = {
    "plan": "{}",
    "recipe": "recipe field {}",
    "versions": "version of {}",
    "spec": "{}",
    "imported": "{}",
    "source_arguments": "source argument {}",
}
#: The argument that decides what a job calls otherwise.
WORDS = {"kind": "target"}
#: What a user rarely gives: the same networks, but for their last bits.
CIRCUMSTANCES = {"versions", "mode", "device"}
#: Those that a user does not ask for, but has: what is finished is not made again because of them.
SURROUNDINGS = {"versions", "device"}


def differing(found: Mapping[str, Any], asked: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    """Those of the keys in which two jobs differ.

    What only the job that is found has is no difference: earlier versions listed recipe fields that nothing used.
    """
    return [key for key in sorted(keys) if _leaves(found.get(key), asked.get(key))]


def describe_differences(found: Mapping[str, Any], asked: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    """One line for each argument in which two jobs differ.

    Args:
        found, asked: what the provenances of both say.
        keys: what of it is their job.

    >>> describe_differences({"plan": {"train": 5, "seed": 0}}, {"plan": {"train": 6, "seed": 0}}, ["plan"])
    ['train: 5 there, 6 asked']
    """
    kinds = [_kind(job) for job in (found, asked)]
    if kinds[0] != kinds[1]:
        return [_line("networks", *kinds)]
    return [line for key in differing(found, asked, keys) for line in _lines(key, found, asked)]


def _lines(key: str, found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    then, now = found.get(key), asked.get(key)
    if key == "source":
        return _source(found, asked)
    if key == "written":
        return ["networks: other weights, labels or splits than then"]
    if key == "listing":
        return ["files: other networks, weights, labels or splits than then"]
    if key == "recipe":
        names = [_name(recipe) for recipe in (then, now)]
        fields = [leaf for leaf in _leaves(then, now) if leaf[0] != "name"]
        if not fields or names[0].split(",")[0] != names[1].split(",")[0]:
            return [_line("recipe", *names)]
        return [_line(FIELDS[key].format(name), a, b) for name, a, b in fields]
    words = FIELDS.get(key, f"{key}.{{}}")
    return [_line(words.format(name) if name else WORDS.get(key, key), a, b) for name, a, b in _leaves(then, now)]


def _source(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    names = [job["source"].get("name") for job in (found, asked)]
    if names[0] != names[1]:
        return [_line("source", *names)]
    # an unfinished zoo of an earlier version does not say its arguments
    leaves = _leaves(found.get("source_arguments", asked.get("source_arguments")), asked.get("source_arguments", {}))
    lines = [_line(name if name == "path" else FIELDS["source_arguments"].format(name), a, b) for name, a, b in leaves]
    return lines or [f"source: the objects of {names[0]} are others now than they were there"]


def _kind(job: Mapping[str, Any]) -> str:
    kinds = {"imported": "imported", "source": "fitted", "written": "written"}
    return next((kind for key, kind in kinds.items() if key in job), "of another kind")


def _name(recipe: Any) -> str:
    return str(recipe.get("name", "custom")) if isinstance(recipe, dict) else "none"


def _line(words: str, then: Any, now: Any) -> str:
    there, asked = (value if isinstance(value, str) else json.dumps(value) for value in (then, now))
    return f"{words}: {there} there, {asked} asked"


def _leaves(a: Any, b: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Leaves of b in which a differs, as (dotted key, in a, in b)."""
    if isinstance(a, dict) and isinstance(b, dict):
        rows = []
        for key in sorted(b):
            rows += _leaves(a.get(key), b[key], f"{prefix}.{key}" if prefix else key)
        return rows
    return [] if a == b else [(prefix, a, b)]
