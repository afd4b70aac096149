"""Checking that a zoo is what it says it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from weightspace.errors import SourceError, WeightspaceError, ZooError
from weightspace.files import read_regular
from weightspace.fitting.quality import decode, psnr
from weightspace.fitting.recipes import Recipe
from weightspace.sources import Objects, Source, load_source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.zoo import Zoo
from weightspace.zoo.contents import check_contents
from weightspace.zoo.header import FILE, FORMAT, ZooHeader
from weightspace.zoo.schema import TEXT_LIMIT
from weightspace.zoo.shard import check_sum, read_shard
from weightspace.zoo.splits import spread

#: Largest difference between a stored root mean square error and the one computed again: relative, plus float32's
#: rounding of values around 1.
TOLERANCE, ROUNDING = 2e-3, 1e-5


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
    if zoo.header.to_text().encode() != read_regular(zoo.path / FILE, TEXT_LIMIT):
        raise ZooError(f"{zoo.path / FILE} was altered: its text is not what format {FORMAT} writes for its content")
    for entry in zoo.header.shards:
        check_sum(zoo.path / "shards" / entry.file, entry)
    yield f"shards ({len(zoo.header.shards)}): sizes, shapes and sha256 as in zoo.json"
    for entry in zoo.header.shards:
        tensors = read_shard(zoo.path, entry, zoo.header)
        check_contents(zoo.path / "shards" / entry.file, tensors, zoo.header)
    yield f"{len(zoo)} networks: all finite, with labels and splits that exist"
    if sample > 0 and "source" not in zoo.header.provenance:
        yield "PSNR not checked: the zoo was not fitted here, and does not say to which objects"
    elif sample > 0:
        if zoo.header.quality[:1] not in (["psnr"], ["test accuracy"]):
            raise ZooError(
                f"{zoo.path}: a fitted zoo's first quality is psnr or test accuracy, found {zoo.header.quality}"
            )
        rows = spread(len(zoo), sample)
        source = source_of(zoo.path, zoo.header, path)
        if isinstance(source, ClassifierSource):
            _check_accuracy(zoo, source, rows)
            yield f"{len(rows)} networks: accuracies as computed from the samples again"
            return
        assert isinstance(source, Source)
        worst = _check_psnr(zoo, source, rows)
        yield f"{len(rows)} networks: PSNR as computed from the source again (errors differ by up to {worst:.1e})"


def _check_psnr(zoo: Zoo, source: Source, rows: torch.Tensor) -> float:
    stored, parts = zoo.quality[rows, zoo.header.quality.index("psnr")], []
    for some in rows.split(16):  # so that memory does not grow with the sample
        points, values = source.observations(zoo.objects[some])
        parts.append(psnr(decode(zoo.batch(some), points, value_range_of(zoo)), values))
    found = torch.cat(parts)
    error, expected = 10 ** (-found / 20), 10 ** (-stored / 20)
    excess = (error - expected).abs() - TOLERANCE * expected - ROUNDING
    worst = int(excess.argmax())
    if not excess[worst] <= 0:
        raise ZooError(
            f"{zoo.path}: network {int(rows[worst])} (object {int(zoo.objects[rows[worst]])}) is stored with "
            f"{float(stored[worst]):.2f} dB, but has {float(found[worst]):.2f} dB"
        )
    return float((error - expected).abs().max())


def _check_accuracy(zoo: Zoo, source: ClassifierSource, rows: torch.Tensor) -> None:
    found = source.accuracies(zoo.batch(rows))
    # a sample on the border between two classes may be classified otherwise by other rounding
    excess = (found - zoo.quality[rows]).abs().amax(1) - 2 / len(source.labels[source.train_samples :])
    worst = int(excess.argmax())
    if not excess[worst] <= 0:
        stored, real = (float(part[worst, 0]) for part in (zoo.quality[rows], found))
        raise ZooError(
            f"{zoo.path}: network {int(rows[worst])} is stored with a test accuracy of {stored:.3f}, but has {real:.3f}"
        )


def source_of(zoo: Path, header: ZooHeader, path: str | None = None) -> Objects:
    """Loads the source that a zoo was fitted to.

    Raises:
        SourceError: the files are not there, or hold other objects than those of the fit.
    """
    if "source" not in header.provenance:
        raise ZooError(f"{zoo} does not say which source its networks were fitted to")
    name = header.provenance["source"]["name"]
    arguments = dict(header.provenance.get("source_arguments", {})) | ({} if path is None else {"path": path})
    try:
        source = load_source(name, **arguments)
    except SourceError as error:
        raise SourceError(f"the source of {zoo} cannot be loaded (another folder: --path): {error}") from error
    if source.digest != header.provenance["source"]["digest"]:
        raise SourceError(f"source {name!r} holds other objects now than those that {zoo} was fitted to")
    return source


def value_range_of(zoo: Zoo) -> tuple[float, float]:
    """What the values 0 and 1 of the objects are in the networks' outputs; (0, 1) if the zoo does not say."""
    provenance = zoo.header.provenance
    if provenance.get("recipe"):
        return recipe_of(zoo.path, zoo.header).value_range
    low, high = provenance.get("value_range", (0.0, 1.0))
    return float(low), float(high)


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
