"""What a zoo says of its making, and what is made again from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weightspace.entry_points import SOURCES, is_dotted
from weightspace.errors import ConfigError, SourceError, WeightspaceError, ZooError
from weightspace.fitting.recipes import Recipe
from weightspace.sources import Objects, load_source
from weightspace.text import shown
from weightspace.zoo.header import FILE, ZooHeader


def told_arguments(header: ZooHeader, path: str | None = None) -> list[str]:
    """What will be read because a zoo's file names it: one line, or none where it names nothing.

    Args:
        header: of the zoo.
        path: folder of the source's files that is taken in place of the file's.
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

    A zoo comes from anybody: what its file names is looked up among the sources that distributions offer, and is not
    imported otherwise.

    Args:
        zoo: its folder, for messages.
        header: of the zoo.
        path: folder of the source's files, if it is not the one of the fit.
        source: the source's name, which must be the zoo's; needed where that is a dotted path.

    Raises:
        ZooError: the zoo does not say its source.
        SourceError: it is a dotted path that the user has not given, or another than the given one; the files are not
            there, or hold other objects than those of the fit.
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
    """Refuses what is said of the source of a zoo that was not fitted here.

    Raises:
        ConfigError: path or source was given, and the zoo has none.
    """
    if "source" not in header.provenance:
        refuse_origin(path, source, f": {zoo} was not fitted here, and does not say to which source")


def refuse_origin(path: str | None, source: str | None, reason: str) -> None:
    """Refuses what is said of a source where none is looked at.

    Args:
        path, source: None where they were not given.
        reason: how the message goes on after "has no effect".

    Raises:
        ConfigError: one of them was given.
    """
    for name, value in (("path", path), ("source", source)):
        if value is not None:
            raise ConfigError(f"{name} has no effect{reason}")


def _arguments(header: ZooHeader, path: str | None) -> dict[str, Any]:
    return {**header.provenance.get("source_arguments", {}), **({} if path is None else {"path": path})}


def recipe_of(zoo: Path, header: ZooHeader) -> Recipe:
    """The recipe that a zoo was fitted by.

    Raises:
        ZooError: it says none, or one that this version does not know.
    """
    try:
        # zoos of earlier versions list fields that their fitter did not use: they are not asked for now
        return Recipe(**header.provenance["recipe"], given=frozenset())
    except (KeyError, TypeError, WeightspaceError) as error:
        raise ZooError(
            f"{zoo} does not say by which recipe it was fitted, or by one that is not known here: {error}"
        ) from error
