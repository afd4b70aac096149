"""Finding and building augmentations by entry-point name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from weightspace.augment.attributes import check_attributes, check_instance
from weightspace.augment.base import Augmentation
from weightspace.entry_points import AUGMENTATIONS, choices, load_plugin, origin
from weightspace.errors import AugmentationError, WeightspaceError

#: An entry of the YAML list: a name, {name: {parameter: value}}, or {name: [...]} of one that has a shorthand.
Entry = str | Mapping[str, Any]


def find_augmentation(name: str) -> type[Augmentation]:
    """The class behind an entry-point name, ``distribution:name``, or a dotted path.

    Raises:
        AugmentationError: unknown, offered twice, cannot be imported, no Augmentation, or invalid class attributes.
    """
    if not isinstance(name, str):
        raise AugmentationError(f"an augmentation is given by its name or dotted path, found {name!r:.100}")
    found = load_plugin(AUGMENTATIONS, name, AugmentationError, kind="augmentation")
    title = f"augmentation {name!r} of {origin(AUGMENTATIONS, name)}"
    if not (isinstance(found, type) and issubclass(found, Augmentation)):
        raise AugmentationError(f"{title} must be a class derived from Augmentation, found {found!r}")
    check_attributes(found, title)
    return found


def list_augmentations() -> dict[str, type[Augmentation] | AugmentationError]:
    """All installed augmentations by name; a broken one is listed with its error and does not affect the others."""
    listing: dict[str, type[Augmentation] | AugmentationError] = {}
    for name in choices(AUGMENTATIONS):
        try:
            listing[name] = find_augmentation(name)
        except AugmentationError as error:
            listing[name] = error
    return listing


def build_augmentations(entries: Sequence[Entry | Augmentation]) -> list[Augmentation]:
    """Builds augmentations from the entries of a configuration; instances are kept.

    Raises:
        AugmentationError: unknown name (with the known ones and the closest match), wrong arguments (with the
            signature), a malformed entry, or no list of entries.
    """
    if isinstance(entries, (str, Mapping, Augmentation)):
        raise AugmentationError(f"augmentations must be a list, found {entries!r}: write [{entries!r}]")
    return [entry if isinstance(entry, Augmentation) else _build(entry) for entry in entries]


def augmentation(name: str, /, **parameters: Any) -> Augmentation:
    """Builds one augmentation, to be called with a batch: ``augmentation("rotate", degrees=20)(batch, seed=0)``.

    Args:
        name: entry-point name, ``distribution:name``, or a dotted path.
        parameters: of its constructor.

    Raises:
        AugmentationError: unknown name, or wrong parameters, see ``build_augmentations``.
    """
    return _build({name: parameters})


def _build(entry: Entry) -> Augmentation:
    if isinstance(entry, str):
        name: str = entry
        arguments: Any = {}
    elif isinstance(entry, Mapping) and len(entry) == 1:
        ((name, arguments),) = entry.items()
        arguments = {} if arguments is None else arguments
    else:
        raise AugmentationError(f"an augmentation is a name or {{name: {{parameter: value}}}}, found {entry!r}")
    cls = find_augmentation(name)
    if cls.shorthand is not None and isinstance(arguments, list | tuple):
        arguments = {cls.shorthand: arguments}
    if not isinstance(arguments, Mapping):
        raise AugmentationError(f"augmentation {name!r}: parameters must be {{name: value}}, found {arguments!r}")
    owner = f"augmentation {name!r} of {origin(AUGMENTATIONS, name)}"
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise AugmentationError(f"{owner}: {error}; its parameters: {parameters_of(cls)}") from error
    try:
        augmentation = cls(**arguments)
    except WeightspaceError as error:
        raise AugmentationError(f"{owner}: {str(error).removeprefix(f'{cls.__name__}: ')}") from error
    except Exception as error:  # a third party's constructor may raise anything
        raise AugmentationError(f"{owner} cannot be made: {type(error).__name__}: {error}") from error
    check_instance(augmentation, owner)
    augmentation.name, augmentation.key = owner, name.rpartition(":")[2].rpartition(".")[2]
    return augmentation


def parameters_of(cls: type[Augmentation]) -> str:
    """Parameters with their defaults as text: "degrees=30.0, p=1.0"."""
    parameters = inspect.signature(cls).parameters.values()
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters)
