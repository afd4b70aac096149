"""The origin of a fitted zoo: loading its source and recipe from its provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weightspace.entry_points import SOURCES, is_dotted
from weightspace.errors import ConfigError, SourceError, WeightspaceError, ZooError
from weightspace.fitting.recipes import Recipe
from weightspace.sources import Objects, load_source
from weightspace.text import shown
from weightspace.zoo.header import FILE, ZooHeader


def describe_arguments(header: ZooHeader, path: str | None = None) -> list[str]:
    """Describes the files that will be read because a zoo names them, in one line, or none if it names nothing.

    Args:
        header: header of the zoo.
        path: folder of the source's files that replaces the one named by the zoo.
    """
    arguments = _arguments(header, path)
    named = {
        name: value for name, value in arguments.items() if isinstance(value, str) and (name, value) != ("path", path)
    }
    if not named:
        return []
    elsewhere = " (path gives another folder)" if "path" in named else ""
    listing = ", ".join(f"{name}={shown(value)}" for name, value in named.items())
    return [f"source {header.provenance['source']['name']}, as {FILE} says: {listing}{elsewhere}"]


def source_of(zoo: Path, header: ZooHeader, path: str | None = None, source: str | None = None) -> Objects:
    """Loads the source that a zoo was fitted to.

    A zoo may come from an untrusted place: a source that it names is only looked up among the installed entry points,
    and not imported otherwise.

    Args:
        zoo: folder of the zoo, for messages.
        header: header of the zoo.
        path: folder of the source's files, if it is not the one of the fit.
        source: name of the source, which must be that of the zoo; required if it is a dotted path.

    Raises:
        ZooError: the zoo does not name its source.
        SourceError: the source is a dotted path that was not given, or differs from the given one, or its files are
            missing or contain other objects than those of the fit.
    """
    if "source" not in header.provenance:
        raise ZooError(f"{zoo} does not say which source its networks were fitted to")
    name = header.provenance["source"]["name"]
    if source not in (None, name):
        raise SourceError(f"source {source}: the zoo at {zoo} was fitted to {name}")
    if source is None and is_dotted(SOURCES, name):
        raise SourceError(
            f"the zoo at {zoo} was fitted to the source {name}, which is not imported because a file names it: "
            f"if it is yours or can be trusted, give source {name}"
        )
    try:
        objects = load_source(name, **_arguments(header, path))
    except SourceError as error:
        raise SourceError(f"the source of {zoo} cannot be loaded (path gives another folder): {error}") from error
    if objects.digest != header.provenance["source"]["digest"]:
        raise SourceError(f"source {name!r} holds other objects now than those that {zoo} was fitted to")
    return objects


def check_origin(zoo: Path, header: ZooHeader, path: str | None, source: str | None) -> None:
    """Refuses arguments about the source of a zoo that was not made by ``fit_zoo``.

    Raises:
        ConfigError: path or source was given, but the zoo has no source.
    """
    if "source" not in header.provenance:
        refuse_origin(path, source, f": {zoo} was not fitted here, and does not say to which source")


def refuse_origin(path: str | None, source: str | None, reason: str) -> None:
    """Refuses arguments about a source if no source is read.

    Args:
        path, source: the arguments; None if they were not given.
        reason: rest of the message after "has no effect".

    Raises:
        ConfigError: one of them was given.
    """
    for name, value in (("path", path), ("source", source)):
        if value is not None:
            raise ConfigError(f"{name} has no effect{reason}")


def _arguments(header: ZooHeader, path: str | None) -> dict[str, Any]:
    return {**header.provenance.get("source_arguments", {}), **({} if path is None else {"path": path})}


def recipe_of(zoo: Path, header: ZooHeader) -> Recipe:
    """The recipe with which a zoo was fitted.

    Raises:
        ZooError: the zoo has no recipe, or one that this version does not know.
    """
    try:
        # zoos of earlier versions also list fields that their fitter did not use, which would be refused now
        return Recipe(**header.provenance["recipe"], given=frozenset())
    except (KeyError, TypeError, WeightspaceError) as error:
        raise ZooError(
            f"{zoo} names no recipe with which it was fitted, or one that this version does not know: {error}"
        ) from error
