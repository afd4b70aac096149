"""The encoder artefact: a backbone in one file that anyone can load, without the run that trained it.

``encoder.safetensors`` holds the weights under the backbone's own names, and as metadata the text ``encoder`` (JSON:
class, architecture of the networks, out_dim, arguments) and ``versions``. Nothing in it is executed: the class is
looked up by its name among the installed backbones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from weightspace.backbones import Backbone
from weightspace.batch import WeightBatch
from weightspace.entry_points import load_plugin, plugins
from weightspace.errors import ConfigError, SpecError, closest
from weightspace.files import write_whole
from weightspace.spec import NetworkSpec
from weightspace.version import __version__

FORMAT = "1"


def save_encoder(path: str | Path, encoder: Backbone) -> None:
    """Writes the artefact, whole or not at all."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    versions = {"weightspace": __version__, "torch": str(torch.__version__)}
    texts = {"encoder": json.dumps(encoder.description()), "versions": json.dumps(versions)}
    write_whole(Path(path), save(tensors, {"format": FORMAT, **texts}))


def load_encoder(path: str | Path) -> Backbone:
    """Builds the backbone that the artefact describes, with its weights, in evaluation mode.

    Raises:
        ConfigError: no such file, not an encoder artefact, or of a backbone that is not installed.
    """
    description = describe_encoder(path)
    encoder = _factory(description)(NetworkSpec.from_json(description["spec"]), description["out_dim"])
    load_weights(path, encoder)
    return encoder.eval()


def load_weights(path: str | Path, encoder: Backbone) -> None:
    """Puts the artefact's weights into a backbone that must be the same; only its ``free_arguments`` may differ.

    Raises:
        ConfigError: no such file, or the two differ: says in what, and names both sides.
    """
    describe_encoder(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not iterable itself
        encoder.load_state_dict(tensors, strict=True)
    except (SafetensorError, SpecError, RuntimeError) as error:
        raise ConfigError(f"the encoder {path} does not fit: {' '.join(str(error).split())}") from error


@torch.no_grad()
def embed(encoder: Backbone, batch: WeightBatch, chunk: int = 512) -> Tensor:
    """(B, out_dim) embeddings on the CPU, in evaluation mode; the encoder is left as it was.

    Args:
        encoder: on any device.
        batch: networks of its architecture.
        chunk: networks at a time.
    """
    training, device = encoder.training, next(encoder.parameters()).device
    encoder.eval()
    try:
        parts = [batch.select(rows).to(device) for rows in torch.arange(len(batch)).split(chunk)]
        return torch.cat([encoder(part).float().cpu() for part in parts])
    finally:
        encoder.train(training)


def describe_encoder(path: str | Path) -> dict[str, Any]:
    """What the artefact says of itself: "class", "spec", "out_dim", "arguments".

    Raises:
        ConfigError: no such file, or not an encoder artefact.
    """
    if not Path(path).is_file():
        raise ConfigError(f"encoder {path}: there is no such file; pretraining writes one into its run's folder")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"encoder {path}: not a safetensors file, or damaged: {error}") from error
    if metadata.get("format") != FORMAT or "encoder" not in metadata:
        raise ConfigError(f"encoder {path}: not an encoder artefact of format {FORMAT}: it has no description")
    try:
        description: dict[str, Any] = json.loads(metadata["encoder"])
    except ValueError as error:
        raise ConfigError(f"encoder {path}: its description is damaged: {error}") from error
    return description


def _factory(description: dict[str, Any]) -> Callable[[NetworkSpec, int], Backbone]:
    """The class with its arguments; arguments that are backbones become factories in turn."""
    arguments = {
        name: _factory(value) if isinstance(value, dict) and {"class", "arguments"} <= value.keys() else value
        for name, value in description["arguments"].items()
    }
    made: Callable[[NetworkSpec, int], Backbone] = partial(_backbone_class(description["class"]), **arguments)
    return made


def _backbone_class(name: str) -> Callable[..., Backbone]:
    if name in plugins("weightspace.backbones"):
        found: Callable[..., Backbone] = load_plugin("weightspace.backbones", name, ConfigError, kind="backbone")
        return found
    # a class of the user's own that is not offered by a distribution must have been imported
    loaded = {kind.__name__: kind for kind in _subclasses(Backbone)}  # type: ignore[type-abstract]
    if name not in loaded:
        raise ConfigError(f"the backbone {name!r} is not installed: {closest(name, plugins('weightspace.backbones'))}")
    return loaded[name]


def _subclasses(kind: type[Backbone]) -> list[type[Backbone]]:
    direct = kind.__subclasses__()
    return [*direct, *(deeper for child in direct for deeper in _subclasses(child))]
