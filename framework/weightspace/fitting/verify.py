"""Verifying the contents of a zoo against its header and its source."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from weightspace.checks import check_whole
from weightspace.errors import ZooError
from weightspace.files import read_regular
from weightspace.fitting.origin import check_origin, describe_arguments, refuse_origin, source_of
from weightspace.fitting.quality import psnr
from weightspace.network import decode
from weightspace.sources import Source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.sources.cnns import CNNSource
from weightspace.zoo import Zoo
from weightspace.zoo.alignment.verify import verify_alignments
from weightspace.zoo.header import FILE
from weightspace.zoo.schema import TEXT_LIMIT
from weightspace.zoo.shard import check_shard
from weightspace.zoo.splits import evenly_spaced

#: Largest relative difference between a stored root mean square error and the recomputed one, and the absolute
#: rounding error of float32 for values around 1.
TOLERANCE, ROUNDING = 2e-3, 1e-5


def verify(zoo: Zoo, sample: int, path: str | None = None, source: str | None = None) -> Iterator[str]:
    """Verifies a zoo; yields one line per passed check, and one that names the files of the source that are read.

    Args:
        zoo: the zoo; opening it has already checked ``zoo.json``, file sizes and the shapes of tensors.
        sample: number of evenly spaced networks to evaluate against the source; 0 for none.
        path: folder of the source's files, if it is not the one of the fit.
        source: dotted path of the source, required if the zoo names one.

    Raises:
        ConfigError: the sample is negative, or path or source was given but no source is read.
        ZooError: a check fails; the message names the file or the network.
        SourceError: the source cannot be found, or is not the given one.
    """
    check_whole("sample", sample, low=0)
    if not sample:
        refuse_origin(path, source, " with sample 0, which looks at no source: leave one of them out")
    check_origin(zoo.path, zoo.header, path, source)
    if zoo.header.to_text().encode() != read_regular(zoo.path / FILE, TEXT_LIMIT):
        own = f"what format {zoo.header.format} writes for its content"
        raise ZooError(f"{zoo.path / FILE} was altered: its text is not {own}")
    for entry in zoo.header.shards:
        check_shard(zoo.path, entry, zoo.header)
    yield f"shards ({len(zoo.header.shards)}): sizes, shapes and sha256 as in zoo.json"
    yield f"{len(zoo)} networks: all finite, with labels and splits that exist"
    yield from verify_alignments(zoo)
    if sample > 0 and "source" not in zoo.header.provenance:
        yield "PSNR not checked: the zoo was not fitted here, and does not say to which objects"
    elif sample > 0:
        if zoo.header.quality[:1] not in (["psnr"], ["test accuracy"]):
            raise ZooError(
                f"{zoo.path}: a fitted zoo's first quality is psnr or test accuracy, found {zoo.header.quality}"
            )
        rows = evenly_spaced(len(zoo), sample)
        yield from describe_arguments(zoo.header, path)
        objects = source_of(zoo.path, zoo.header, path, source)
        if isinstance(objects, ClassifierSource | CNNSource):
            _check_accuracy(zoo, objects, rows)
            yield f"{len(rows)} networks: accuracies equal those recomputed from the samples"
            return
        assert isinstance(objects, Source)
        worst = _check_psnr(zoo, objects, rows)
        yield f"{len(rows)} networks: PSNR equals that recomputed from the source (errors differ by up to {worst:.1e})"


def _check_psnr(zoo: Zoo, source: Source, rows: torch.Tensor) -> float:
    stored, parts = zoo.quality[rows, zoo.header.quality.index("psnr")], []
    for some in rows.split(16):  # in chunks, so that memory does not grow with the sample
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


def _check_accuracy(zoo: Zoo, source: ClassifierSource | CNNSource, rows: torch.Tensor) -> None:
    found, known = source.accuracies(zoo.batch(rows)), zoo.quality[rows, :2]
    # other rounding may classify a sample at a class boundary differently
    excess = (found - known).abs().amax(1) - 2 / source.test_samples
    worst = int(excess.argmax())
    if not excess[worst] <= 0:
        stored, real = (float(part[worst, 0]) for part in (known, found))
        raise ZooError(
            f"{zoo.path}: network {int(rows[worst])} is stored with a test accuracy of {stored:.3f}, but has {real:.3f}"
        )
