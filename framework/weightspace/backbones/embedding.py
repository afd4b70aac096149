"""What a backbone makes of a zoo or of a batch: embeddings, in evaluation mode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from weightspace.backbones.base import Backbone
from weightspace.batch import WeightBatch
from weightspace.checks import check_whole
from weightspace.errors import ConfigError, SpecError
from weightspace.files import write_whole
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS
from weightspace.zoo.selection import Split

#: What networks can be given as.
Networks = Zoo | Split | WeightBatch


@torch.no_grad()
def embed(backbone: Backbone, networks: Networks, split: str | None = None, batch_size: int = 512) -> Tensor:
    """(n, out_dim) embeddings in float32 on the CPU, computed in evaluation mode; the backbone is left as it was.

    Args:
        backbone: on any device.
        networks: of its architecture: a zoo, a split of one, or a batch.
        split: of a zoo: "train", "val", "test" or "internal"; None: all its networks.
        batch_size: networks at a time, >= 1.

    Raises:
        ConfigError: ``batch_size`` out of range.
        SpecError: networks of another architecture, or a split of what is no zoo.
        ZooError: an unknown split.
    """
    training, device = backbone.training, next(backbone.parameters()).device
    backbone.eval()
    try:
        parts = batches_of(networks, split, batch_size)
        return torch.cat([backbone(part.to(device)).float().cpu() for part in parts])
    finally:
        backbone.train(training)


def batches_of(networks: Networks, split: str | None = None, batch_size: int = 512) -> Iterator[WeightBatch]:
    """All networks in order, in batches, at least one; arguments and errors are those of ``embed``."""
    check_whole("batch_size", batch_size, low=1)
    if split is not None:
        if not isinstance(networks, Zoo):
            raise SpecError(f"split {split!r}: only a zoo has splits, found a {type(networks).__name__}")
        networks = networks[split]
    take = networks.select if isinstance(networks, WeightBatch) else networks.__getitem__
    return (take(rows) for rows in torch.arange(len(networks)).split(batch_size))


def write_embeddings(path: Path, embeddings: Tensor, zoo: Zoo, encoder: dict[str, Any]) -> None:
    """Writes embeddings of all networks of a zoo into a safetensors file, with object, view, split and target of each.

    Args:
        path: the file, in a folder that exists.
        embeddings: (n, D).
        zoo: of the networks.
        encoder: description of what has embedded them.

    Raises:
        ConfigError: the file cannot be written.
    """
    columns = {"object": zoo.objects, "view": zoo.views, "split": zoo.splits, "target": zoo.targets}
    metadata = {
        "encoder": json.dumps(encoder),
        "zoo": zoo.digest,
        "splits": json.dumps(SPLITS),
        "class_names": json.dumps(zoo.class_names),
    }
    try:
        tensors = {name: column.contiguous() for name, column in columns.items()}
        write_whole(path, save({"embedding": embeddings, **tensors}, metadata))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
