"""Embedding the networks of a zoo or a batch with a backbone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from weightspace.backbones.base import Backbone
from weightspace.batch import WeightBatch
from weightspace.checks import check_whole
from weightspace.errors import ConfigError, SpecError
from weightspace.files import write_whole
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.selection import Split

#: Types of networks that can be embedded.
Networks = Zoo | Split | WeightBatch


@torch.no_grad()
def embed(backbone: Backbone, networks: Networks, split: str | None = None, batch_size: int = 512) -> Tensor:
    """Embeds networks: (n, out_dim) in float32 on the CPU, computed in evaluation mode; the backbone is not changed.

    Args:
        backbone: a backbone on any device.
        networks: networks of its architecture: a zoo, a split of one, or a batch.
        split: split of a zoo: "train", "val", "test" or "internal"; None: all its networks.
        batch_size: number of networks at a time, >= 1.

    Raises:
        ConfigError: ``backbone`` has no weights, or ``batch_size`` is out of range.
        SpecError: the networks have another architecture or type, or ``split`` was given for something else than a
            zoo.
        ZooError: the split is unknown.
    """
    if not isinstance(backbone, nn.Module) or next(backbone.parameters(), None) is None:
        found = repr(backbone) if isinstance(backbone, type) else type(backbone).__name__
        raise ConfigError(
            "backbone must be one that has weights, from load_backbone(path) or the backbone of a trained task, found "
            f"{found}"
        )
    parts, device = batches_of(networks, split, batch_size), next(backbone.parameters()).device
    with evaluating(backbone):
        return torch.cat([backbone(part.to(device)).float().cpu() for part in parts])


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Puts a module into evaluation mode, and each of its parts back into its own mode at the end."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def batches_of(networks: Networks, split: str | None = None, batch_size: int = 512) -> Iterator[WeightBatch]:
    """Yields all networks in order, in at least one batch; arguments and errors are those of ``embed``."""
    check_whole("batch_size", batch_size, low=1)
    if split is not None:
        if not isinstance(networks, Zoo):
            raise SpecError(f"split {split!r}: only a zoo has splits, found a {type(networks).__name__}")
        networks = networks[str(split)]
    if not isinstance(networks, Networks):
        raise SpecError(f"networks must be a zoo, a split of one, or a batch, found {type(networks).__name__}")
    return (networks[rows] for rows in torch.arange(len(networks)).split(batch_size))


def write_embeddings(path: Path, embeddings: Tensor, zoo: Zoo, encoder: dict[str, Any]) -> None:
    """Writes embeddings of all networks of a zoo to a safetensors file, with object, view, split and target of each.

    Args:
        path: the file, in a folder that exists.
        embeddings: (n, D) embeddings.
        zoo: zoo of the networks.
        encoder: description of the backbone that has embedded them.

    Raises:
        ConfigError: the file cannot be written.
    """
    columns = {"object": zoo.objects, "view": zoo.views, "split": zoo.splits, "target": zoo.targets}
    metadata = {
        "encoder": json.dumps(encoder),
        "zoo": zoo.digest,
        "splits": json.dumps(SPLITS),
        "class_names": json.dumps(zoo.class_names),
        "fold": json.dumps(zoo.fold),
    }
    try:
        tensors = {name: column.contiguous() for name, column in columns.items()}
        write_whole(path, save({"embedding": embeddings, **tensors}, metadata))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
