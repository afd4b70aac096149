"""Verifying the stored alignments of a zoo."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from weightspace.errors import ZooError
from weightspace.symmetry import squared_distance
from weightspace.zoo.alignment.store import ZooAlignment
from weightspace.zoo.store import Zoo

#: Largest relative difference between a stored squared distance to the reference and the recomputed one.
TOLERANCE = 1e-3


def verify_alignments(zoo: Zoo) -> Iterator[str]:
    """Verifies all stored alignments of a zoo; yields a line for each.

    Checksums, whether all elements are symmetries of the group, and whether they bring the networks as close to the
    reference as was recorded when they were made.

    Args:
        zoo: the zoo.

    Raises:
        ZooError: a check fails; the message names the file or the network.
    """
    for name in zoo.alignments:
        alignment = zoo.alignment(name)
        begin = 0
        for number, entry in enumerate(alignment.header.parts):
            _check(zoo, alignment, number, torch.arange(begin, begin + entry.rows))
            begin += entry.rows
        to = alignment.header.reference["to"]
        yield f"alignment {name} to {to}: {begin} elements of the group, as close to the reference as recorded"


def _check(zoo: Zoo, alignment: ZooAlignment, number: int, rows: torch.Tensor) -> None:
    if not len(rows):  # of a shard whose networks have all been left out
        return
    stored = alignment.tensors(number)["distance"]
    networks = zoo.batch(rows)
    reference = networks.replace(params=alignment.reference.params.expand(len(rows), -1))
    moved = (networks, alignment.element(rows).apply(networks))
    found = torch.stack([squared_distance(reference, batch) for batch in moved], dim=1)
    size = networks.params.square().sum(1, keepdim=True) + reference.params.square().sum(1, keepdim=True)
    excess = (found - stored).abs() - TOLERANCE * size
    row = int(excess.amax(1).argmax())
    if not excess.amax() <= 0:
        raise ZooError(
            f"{alignment.path / alignment.header.parts[number].file}: network {row} is recorded with squared "
            f"distances {stored[row].tolist()} to the reference, and has {found[row].tolist()}: run "
            f"`{alignment.header.command(zoo.path, alignment.name, zoo.spec.symmetries, overwrite=True)}`"
        )
