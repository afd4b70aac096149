"""The names of groups of symmetries, such as "permutation+sign", and what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weightspace.checks import Raises
from weightspace.errors import ConfigError, SpecError, closest
from weightspace.spec import NetworkSpec

#: Names of the groups that networks can be aligned under, their parts in the order in which an element applies them.
GROUPS = ("permutation", "permutation+sign", "permutation+sign+phase", "permutation+scale")
#: All symmetries, in this order.
_ORDER = ("permutation", "sign", "phase", "scale")


def group_name(symmetries: Iterable[str]) -> str:
    """The name of a group, whatever the order in which its symmetries are given.

    >>> group_name(["permutation", "phase", "sign"])
    'permutation+sign+phase'
    """
    return "+".join(sorted(symmetries, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)))


def check_group(name: str, value: Any, error: Raises = ConfigError) -> str:
    """Returns the name of a group as it is in ``GROUPS``, or "auto".

    Args:
        name: of the argument, for the message.
        value: what was given; the parts of a group may be in any order.
        error: type of the error.

    Raises:
        error: it is no group.

    >>> check_group("group", "sign+permutation")
    'permutation+sign'
    """
    found = group_name(value.split("+")) if isinstance(value, str) else value
    if found not in ("auto", *GROUPS):
        known = f"auto, {', '.join(GROUPS)} (the parts in any order)"
        raise error(f"{name} must be one of {known}, found {value!r:.100}")
    return str(found)


def resolve_group(group: str, spec: NetworkSpec) -> frozenset[str]:
    """The symmetries in a group.

    Args:
        group: one of ``GROUPS``, its parts in any order, or "auto": all that the activation has.
        spec: the networks.

    Returns:
        "permutation" and, where they belong to the group, "sign", "phase", "scale".

    Raises:
        SpecError: an unknown group, or one that the activation does not have.

    >>> sorted(resolve_group("auto", NetworkSpec((2, 8, 1), "sine")))
    ['permutation', 'phase', 'sign']
    """
    if group == "auto":
        return spec.symmetries
    if not isinstance(group, str) or group_name(group.split("+")) not in GROUPS:
        raise SpecError(f"unknown group {group!r:.100}: {closest(str(group), ('auto', *GROUPS))}")
    symmetries = frozenset(group.split("+"))
    if not symmetries <= spec.symmetries:
        missing = " and ".join(sorted(symmetries - spec.symmetries))
        raise SpecError(f"group {group!r}: {missing} is no symmetry of networks {spec}")
    return symmetries
