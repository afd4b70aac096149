"""Checking that a zoo is what it says it is."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from weightspace.checks import check_whole
from weightspace.errors import ZooError
from weightspace.files import read_regular
from weightspace.fitting.origin import check_origin, refuse_origin, source_of, told_arguments
from weightspace.fitting.quality import psnr
from weightspace.network import decode
from weightspace.sources import Source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, FORMAT
from weightspace.zoo.schema import TEXT_LIMIT
from weightspace.zoo.shard import check_shard
from weightspace.zoo.splits import evenly_spaced

#: Largest difference between a stored root mean square error and the one computed again: relative, plus float32's
#: rounding of values around 1.
TOLERANCE, ROUNDING = 2e-3, 1e-5


def verify(zoo: Zoo, sample: int, path: str | None = None, source: str | None = None) -> Iterator[str]:
    """Checks a zoo; yields one line per check that held, and one that says what of a user's files is read.

    Args:
        zoo: opening it has checked ``zoo.json``, file sizes and the tensors' shapes already.
        sample: how many networks to evaluate against the source, evenly spread; 0 for none.
        path: folder of the source's files, if it is not the one of the fit.
        source: dotted path of the source, which is needed where the zoo says one.

    Raises:
        ConfigError: a negative sample; path or source where no source is looked at.
        ZooError: the first check that fails, naming the file or the network.
        SourceError: the source cannot be found, or is not the given one.
    """
    check_whole("sample", sample, low=0)
    if not sample:
        refuse_origin(path, source, " with sample 0, which looks at no source: leave one of them out")
    check_origin(zoo.path, zoo.header, path, source)
    if zoo.header.to_text().encode() != read_regular(zoo.path / FILE, TEXT_LIMIT):
        raise ZooError(f"{zoo.path / FILE} was altered: its text is not what format {FORMAT} writes for its content")
    for entry in zoo.header.shards:
        check_shard(zoo.path, entry, zoo.header)
    yield f"shards ({len(zoo.header.shards)}): sizes, shapes and sha256 as in zoo.json"
    yield f"{len(zoo)} networks: all finite, with labels and splits that exist"
    if sample > 0 and "source" not in zoo.header.provenance:
        yield "PSNR not checked: the zoo was not fitted here, and does not say to which objects"
    elif sample > 0:
        if zoo.header.quality[:1] not in (["psnr"], ["test accuracy"]):
            raise ZooError(
                f"{zoo.path}: a fitted zoo's first quality is psnr or test accuracy, found {zoo.header.quality}"
            )
        rows = evenly_spaced(len(zoo), sample)
        yield from told_arguments(zoo.header, path)
        objects = source_of(zoo.path, zoo.header, path, source)
        if isinstance(objects, ClassifierSource):
            _check_accuracy(zoo, objects, rows)
            yield f"{len(rows)} networks: accuracies as computed from the samples again"
            return
        assert isinstance(objects, Source)
        worst = _check_psnr(zoo, objects, rows)
        yield f"{len(rows)} networks: PSNR as computed from the source again (errors differ by up to {worst:.1e})"


def _check_psnr(zoo: Zoo, source: Source, rows: torch.Tensor) -> float:
    stored, parts = zoo.quality[rows, zoo.header.quality.index("psnr")], []
    for some in rows.split(16):  # so that memory does not grow with the sample
        points, values = source.observations(zoo.objects[some])
        parts.append(psnr(decode(zoo.batch(some), points, zoo.value_range), values))
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
