"""Plugin discovery: named objects that installed distributions provide through entry points."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from weightspace.errors import WeightspaceError, closest

#: Groups of entry points; named here, so that whoever only needs a name imports none of the classes.
AUGMENTATIONS = "weightspace.augmentations"
BACKBONES = "weightspace.backbones"
EDITS = "weightspace.edits"
SOURCES = "weightspace.sources"


@cache
def plugins(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of a group by name; a name has several if two distributions claim it."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=group), key=lambda p: p.name):
        # an editable install beside a checkout on sys.path lists the same entry point twice
        if all(distribution(point) != distribution(other) for other in found.get(point.name, ())):
            found[point.name] = (*found.get(point.name, ()), point)
    return found


def distribution(point: EntryPoint) -> str:
    """Name and version of the distribution that an entry point belongs to."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def choices(group: str) -> list[str]:
    """Unambiguous name of each plugin of a group: its name, or ``distribution:name`` if two distributions claim it."""
    return [text for name, points in plugins(group).items() for text in _texts(name, points)]


def offered(group: str, found: object) -> list[str]:
    """Names under which plugins of a group provide this class, the one of ``choices`` first; empty if none does."""
    texts: list[str] = []
    for name, points in plugins(group).items():
        for point, text in zip(points, _texts(name, points), strict=True):
            if point.attr == getattr(found, "__qualname__", None) and _loads(point, found):
                texts += [text, *_all_of(point), name]
    return list(dict.fromkeys(texts))


def _loads(point: EntryPoint, found: object) -> bool:
    with suppress(Exception):  # whatever a third party's module does at import
        return point.load() is found
    return False


def origin(group: str, name: str) -> str:
    """Distribution and version that provide a plugin; for a dotted path, its module."""
    points = _candidates(group, name)
    return distribution(points[0]) if points else name.rpartition(".")[0]


def is_dotted(group: str, name: str) -> bool:
    """Whether a name is a dotted path, not a plugin: only users may ask for its import, never a file."""
    return "." in name and ":" not in name and not _candidates(group, name)


def load_plugin(group: str, name: str, error: type[WeightspaceError], kind: str) -> Any:
    """Imports the object that a plugin name or dotted path refers to, without calling it.

    Args:
        group: for instance "weightspace.augmentations".
        name: entry-point name; ``distribution:name``, where several distributions claim it; or a dotted path.
        error: the error type to raise.
        kind: what to call it in messages, for instance "augmentation".

    Raises:
        WeightspaceError: (the given type) unknown name, a name claimed by two distributions, or a failed import.
    """
    points = _candidates(group, name)
    if len(points) > 1:
        owners = " and ".join(distribution(point) for point in points)
        raise error(f"{kind} {name!r} is offered by {owners}: write {' or '.join(map(repr, _texts(name, points)))}")
    if not points and not is_dotted(group, name):
        listing = [f"{text} ({origin(group, text)})" for text in choices(group)]
        match = closest(name, _all_texts(group) if ":" in name else choices(group)).split("Known:")[0]
        raise error(f"unknown {kind} {name!r}: {match}Known: {', '.join(listing) or '(none)'}")
    try:
        return points[0].load() if points else _dotted(name)
    except Exception as cause:  # whatever a third party's module does at import is reported, with its name
        owner = f" of {distribution(points[0])}" if points else ""
        raise error(f"{kind} {name!r}{owner} cannot be imported: {type(cause).__name__}: {cause}") from cause


def gives(found: Any, base: type) -> bool:
    """Whether calling ``found`` returns a ``base``: a subclass, or a function with such a return annotation.

    >>> def three() -> int: return 3
    >>> gives(bool, int), gives(three, int), gives(str, int), gives(print, int)
    (True, True, False, False)
    """
    if not isinstance(found, type):
        try:
            found = get_type_hints(found).get("return")
        except Exception:  # whatever a third party's annotations hold
            return False
    return isinstance(found, type) and issubclass(found, base)


def _candidates(group: str, name: str) -> tuple[EntryPoint, ...]:
    owner, _, plain = name.rpartition(":")
    points = plugins(group).get(plain, ())
    return (
        tuple(point for point in points if point.dist and _plain(point.dist.name) == _plain(owner)) if owner else points
    )


def _texts(name: str, points: tuple[EntryPoint, ...]) -> list[str]:
    return [f"{point.dist.name}:{name}" if len(points) > 1 and point.dist else name for point in points]


def _all_texts(group: str) -> list[str]:
    """``distribution:name`` of every plugin of a group, also for names that are unique."""
    points = [point for claimed in plugins(group).values() for point in claimed]
    return [text for point in points for text in _all_of(point)]


def _all_of(point: EntryPoint) -> list[str]:
    return [f"{point.dist.name}:{point.name}"] if point.dist else []


def _plain(name: str) -> str:
    """Normalised name of a distribution, by which installers compare."""
    return name.lower().replace("_", "-").replace(".", "-")


def _dotted(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
