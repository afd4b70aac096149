"""Checking that a zoo is what it says it is."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from weightspace.errors import SourceError, ZooError
from weightspace.fitting.quality import decode, psnr
from weightspace.fitting.recipes import Recipe
from weightspace.sources import ImageSource, load_source
from weightspace.zoo import Zoo
from weightspace.zoo.shard import check_sum

#: Largest difference (dB) between a stored PSNR and the one computed again, on whatever machine.
PSNR_TOLERANCE = 0.01


def verify(zoo: Zoo, sample: int, path: str | None = None) -> Iterator[str]:
    """Checks a zoo; yields one line per check that held.

    Args:
        zoo: opening it has checked ``zoo.json``, file sizes and the tensors' shapes already.
        sample: how many networks to evaluate against the source, evenly spread; 0 for none.
        path: folder of the source's files, if it is not the one of the fit.

    Raises:
        ZooError: the first check that fails, naming the file or the network.
        SourceError: the source cannot be found.
    """
    for entry in zoo.header.shards:
        check_sum(zoo.path / "shards" / entry.file, entry)
    yield f"shards ({len(zoo.header.shards)}): sizes, shapes and sha256 as in zoo.json"
    everything = torch.arange(len(zoo))
    for rows in everything.split(4096):
        bad = rows[~zoo.params(rows).isfinite().all(1)]
        if len(bad):
            raise ZooError(f"{zoo.path}: network {int(bad[0])} (object {int(zoo.objects[bad[0]])}) is not finite")
    yield f"{len(zoo)} networks: all finite"
    if sample > 0:
        rows = everything[:: max(1, len(zoo) // sample)][:sample]
        worst = _check_psnr(zoo, source_of(zoo, path), rows)
        yield f"{len(rows)} networks: PSNR as computed from the source again (largest difference {worst:.1e} dB)"


def _check_psnr(zoo: Zoo, source: ImageSource, rows: torch.Tensor) -> float:
    stored = zoo.quality[rows, zoo.header.quality.index("psnr")]
    outputs = decode(zoo.batch(rows), source.coordinates(), recipe_of(zoo).value_range)
    difference = (psnr(outputs, source.values(zoo.objects[rows])) - stored).abs()
    worst = int(difference.argmax())
    if not difference[worst] <= PSNR_TOLERANCE:
        raise ZooError(
            f"{zoo.path}: network {int(rows[worst])} (object {int(zoo.objects[rows[worst]])}) is stored with "
            f"{float(stored[worst]):.2f} dB, but differs from that by {float(difference[worst]):.2f} dB"
        )
    return float(difference[worst])


def source_of(zoo: Zoo, path: str | None = None) -> ImageSource:
    """Loads the source that a zoo was fitted to.

    Raises:
        SourceError: the files are not there, or hold other objects than those of the fit.
    """
    name = zoo.header.provenance["source"]["name"]
    arguments = dict(zoo.header.provenance["source_arguments"]) if path is None else {"path": path}
    try:
        source = load_source(name, **arguments)
    except SourceError as error:
        raise SourceError(f"the source of {zoo.path} cannot be loaded (another folder: --path): {error}") from error
    if source.digest != zoo.header.provenance["source"]["digest"]:
        raise SourceError(f"source {name!r} holds other objects now than those that {zoo.path} was fitted to")
    return source


def recipe_of(zoo: Zoo) -> Recipe:
    """The recipe that a zoo was fitted with."""
    return Recipe(**zoo.header.provenance["recipe"])
