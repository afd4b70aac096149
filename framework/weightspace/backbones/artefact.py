"""The encoder artefact: a file with a backbone that can be loaded without the run that trained it.

``encoder.safetensors`` contains the weights under the backbone's own names, and as metadata ``encoder`` (JSON: class,
architecture of the networks, out_dim, arguments, and, where there is one, the target of its head and what it was
trained on), ``versions`` and ``digest``, which is verified on loading. Loading it executes and imports nothing that it
names: the class is looked up among the installed entry points and the classes that have been imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightspace.backbones.base import Backbone
from weightspace.backbones.classifier import EncoderClassifier
from weightspace.backbones.description import as_state, from_state, is_description
from weightspace.backbones.factory import BackboneFactory
from weightspace.backbones.naming import dotted, means, name_of
from weightspace.checks import check_path
from weightspace.entry_points import BACKBONES, choices, load_plugin, plugins
from weightspace.errors import ConfigError, SpecError, closest
from weightspace.files import read_regular, write_whole
from weightspace.files.sealed import DIGEST, UnsealedError, seal, unseal
from weightspace.spec import NetworkSpec
from weightspace.version import __version__

FORMAT = "2"
#: The previous format, whose files have no digest.
UNSEALED_FORMAT = "1"
#: Suffix of the file's name.
ENDING = ".safetensors"
#: Largest size of an artefact in bytes.
LIMIT = 4 * 2**30
#: Keys of a description with their types.
DESCRIPTION = {"class": str, "spec": dict, "out_dim": int, "arguments": dict}


def save_backbone(
    backbone: Backbone,
    path: str | Path,
    target: dict[str, Any] | None = None,
    trained_on: dict[str, Any] | None = None,
) -> None:
    """Writes a backbone to a file for ``load_backbone``, atomically; equal backbones give equal bytes.

    Args:
        backbone: with a head or without.
        path: the file, which ends in ``.safetensors``; an existing one is replaced.
        target: target of a head, as JSON data with "kind" and "names", which is added to the description.
        trained_on: the zoo and its splits, as JSON data, see ``weightspace.data.seen``; added to the description.

    Raises:
        ConfigError: the path or the backbone is of another type, the folder is missing, or an argument of the backbone
            is not plain data.
    """
    if not isinstance(backbone, Backbone):
        raise ConfigError(
            f"backbone must be a Backbone, such as the backbone of a trained task, found {backbone!r:.100}"
        )
    folder = Path(check_path("path", path)).parent
    if not folder.is_dir():
        raise ConfigError(f"{path} cannot be written: there is no folder {folder}")
    versions = {"weightspace": __version__, "torch": str(torch.__version__)}
    more = {name: value for name, value in (("target", target), ("trained_on", trained_on)) if value is not None}
    description = {**backbone.description(), **more}
    texts = {"encoder": json.dumps(description), "versions": json.dumps(versions)}
    write_whole(Path(path), seal(backbone.state_dict(), {"format": FORMAT, **texts}))


def load_backbone(path: str | Path, classes: Sequence[type[Backbone]] = ()) -> Backbone:
    """Loads the backbone of an artefact, in evaluation mode.

    Args:
        path: the file, or the folder of a run, whose best epoch is loaded.
        classes: your own classes, which are used for classes of the same name in the file, whatever their module was.
            Classes of installed entry points, and imported classes, are found without.

    Raises:
        ConfigError: the file is missing, damaged or not an encoder artefact, or its backbone is not installed.
    """
    if isinstance(classes, type):
        raise ConfigError(f"load_backbone: classes is a list, here [{classes.__name__}]")
    description, tensors = _read(path)
    if names := _names(description, classes):
        description, tensors = _renamed(description, names), _renamed_states(tensors, names)
    try:
        encoder = described_factory(description)(NetworkSpec.from_json(description["spec"]), description["out_dim"])
    except (SpecError, TypeError) as error:
        raise ConfigError(
            f"backbone file {path}: {description['class']} cannot be built as described: {error}"
        ) from error
    _put(path, tensors, encoder)
    return encoder.eval()


def load_weights(path: str | Path, encoder: Backbone) -> None:
    """Loads the weights of an artefact into an equal backbone; only its ``free_arguments`` may differ.

    Raises:
        ConfigError: the file is missing or damaged, or the two differ; the message says in what.
    """
    _put(path, _read(path)[1], encoder)


def describe_encoder(path: str | Path) -> dict[str, Any]:
    """Reads the description of an artefact: "class", "spec", "out_dim", "arguments", "target" if it has a head,
    and "trained_on" if it says so.

    Raises:
        ConfigError: the file is missing, damaged, or not an encoder artefact.
    """
    return _read(path)[0]


def backbone_file(path: str | Path) -> Path:
    """The artefact for a path: the file itself, or that of the best epoch in a run's folder, or else of the last.

    Raises:
        ConfigError: it is not a path, or the folder contains none, or several.
    """
    path = Path(check_path("path", path))
    if not path.is_dir():
        return path
    files = sorted(path.glob(f"*{ENDING}"))
    found = [file for file in files if file.name.endswith(f"_best{ENDING}")] or files
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or f"no *{ENDING}"
        raise ConfigError(
            f"backbone file {path}: expected one file of a backbone in this folder of a run, found {names}"
        )
    return found[0]


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Reads description and weights after all checks."""
    try:
        tensors, texts = unseal(read_regular(backbone_file(path), LIMIT))
    except FileNotFoundError as error:
        raise ConfigError(
            f"backbone file {path}: there is no such file; training writes one into its run's folder"
        ) from error
    except OSError as error:
        raise ConfigError(f"backbone file {path} cannot be read: {error.strerror}") from error
    except UnsealedError as error:
        raise ConfigError(f"backbone file {path} is damaged: {error}. Take a copy of it, or train it again") from error
    version = texts.get("format")
    if version not in (FORMAT, UNSEALED_FORMAT) or "encoder" not in texts:
        raise ConfigError(f"backbone file {path}: not a backbone file of format {FORMAT}: it has no description")
    if version == FORMAT and DIGEST not in texts:
        raise ConfigError(f"backbone file {path} is damaged: it has no digest. Take a copy of it, or train it again")
    return _description(path, texts["encoder"]), tensors


def _description(path: str | Path, text: str) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"backbone file {path}: its description is damaged: {error}") from error
    found = description if isinstance(description, dict) else {}
    for name, kind in DESCRIPTION.items():
        if type(found.get(name)) is not kind:
            raise ConfigError(
                f"backbone file {path}: its description is damaged: {name} should be {kind.__name__}, "
                f"found {found.get(name)!r:.100}"
            )
    return found


def _put(path: str | Path, tensors: dict[str, Tensor], encoder: Backbone) -> None:
    try:
        encoder.load_state_dict(tensors, strict=True)
    except (SpecError, RuntimeError) as error:
        raise ConfigError(f"the backbone file {path} does not fit: {' '.join(str(error).split())}") from error


def described_factory(description: dict[str, Any]) -> BackboneFactory:
    """Makes a factory from a class and its arguments; arguments that describe backbones become factories, too."""
    arguments = {
        name: described_factory(value) if is_description(value) else value
        for name, value in description["arguments"].items()
    }
    made: BackboneFactory = partial(_backbone_class(description["class"]), **arguments)
    return made


def _backbone_class(name: str) -> Callable[..., Backbone]:
    """The class of this name among the installed entry points and imported classes; a file imports nothing else."""
    if name == EncoderClassifier.__name__:
        return EncoderClassifier
    if name in plugins(BACKBONES) or ":" in name:
        found: Callable[..., Backbone] = load_plugin(BACKBONES, name, ConfigError, kind="backbone")
        return found
    known = {dotted(cls): cls for cls in _subclasses(Backbone)}  # type: ignore[type-abstract]
    found_at = [path for path, cls in known.items() if name in (path, name_of(cls))]
    found_at = found_at or [path for path, cls in known.items() if means(name, cls)]
    how = "name the class yourself: load_backbone(path, classes=[...]), or backbone: DOTTED.PATH for weightspace embed"
    if not found_at:
        raise ConfigError(
            f"the backbone {name!r} is not installed, nor imported, which a file has no say in: {how}. "
            f"Or install it: {closest(name, choices(BACKBONES))}"
        )
    if len(found_at) > 1:
        raise ConfigError(f"the backbone {name!r} may be {' or '.join(sorted(found_at))}: {how}")
    return known[found_at[0]]


def _names(description: dict[str, Any], classes: Sequence[type[Backbone]]) -> dict[str, str]:
    """Maps the names of classes in a description to the current names of the given classes."""
    found = {}
    for cls in classes:
        for saved in _classes_in(description):
            if re.split("[.:]", saved)[-1] == cls.__name__:
                found[saved] = name_of(cls)
    return found


def _classes_in(value: Any) -> list[str]:
    if not is_description(value):
        return []
    return [value["class"], *(name for inner in value["arguments"].values() for name in _classes_in(inner))]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Renames the classes in a description."""
    if not is_description(value):
        return value
    arguments = {name: _renamed(inner, names) for name, inner in value["arguments"].items()}
    return {**value, "class": names.get(value["class"], value["class"]), "arguments": arguments}


def _renamed_states(tensors: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    """Renames the classes in the descriptions that are saved with the weights."""
    states = {key: tensor for key, tensor in tensors.items() if key.endswith("_extra_state")}
    return {**tensors, **{key: as_state(_renamed(from_state(state), names)) for key, state in states.items()}}


def _subclasses(kind: type[Backbone]) -> list[type[Backbone]]:
    direct = kind.__subclasses__()
    return [*direct, *(deeper for child in direct for deeper in _subclasses(child))]
