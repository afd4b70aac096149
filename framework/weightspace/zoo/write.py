"""Making a zoo of tensors that are there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from weightspace.checks import check_number, check_path
from weightspace.errors import SpecError, ZooError
from weightspace.spec import NetworkSpec
from weightspace.version import __version__
from weightspace.zoo import columns
from weightspace.zoo.assignment import check_assignment, drawn_splits, numbered_views
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.shard import rows_per_shard
from weightspace.zoo.store import Zoo
from weightspace.zoo.writer import ZooWriter


def write_zoo(
    out: str | Path,
    params: Any,
    spec: NetworkSpec,
    *,
    targets: Any = None,
    names: Sequence[str] | None = None,
    objects: Any = None,
    views: Any = None,
    splits: Any = None,
    val: float = 0,
    test: float = 0,
    seed: int = 0,
    quality: Mapping[str, Any] | None = None,
    value_range: Sequence[float] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Zoo:
    """Writes networks as a zoo. The same call on the same folder again gives the zoo that is there.

    Columns are tensors, arrays or lists with an entry for each of the n networks, whose order stays.

    Args:
        out: folder of the zoo; made if it does not exist.
        params: (n, P) flat vectors in the order of ``spec``, or n state_dicts with alternating weights and biases.
        spec: architecture of all networks.
        targets: (n,) whole numbers or names, which are classes, or (n,) or (n, T) real numbers.
        names: of the classes, or of the T numbers; default: the names among ``targets``, or "0", "1", ... for classes,
            "target" or "target_1", ... for numbers.
        objects: (n,) which object each network stores, >= 0; default: each network another.
        views: (n,) which network of its object each is, >= 0; default: counted for each object.
        splits: (n,) of train, val, test and internal, or their numbers 0 to 3; all networks of an object are in one.
        val: validation objects, where no splits are given: a share below 1, or a number of objects.
        test: test objects, in the same way. All others are for training.
        seed: of the choice of these objects.
        quality: columns that measure each network, by name, as {"psnr": values}.
        value_range: outputs that stand for 0 and 1 of an object; default (0, 1).
        notes: what else provenance is to say, as JSON can hold it.

    Raises:
        SpecError: a state_dict that does not fit the architecture.
        ZooError: a column of another shape or kind, networks that are not finite, an object in two splits; or the
            folder cannot be written, or holds another zoo.
        ConfigError: a number out of range.

    >>> import tempfile
    >>> spec = NetworkSpec((2, 3, 1), "tanh")
    >>> params = torch.randn(4, spec.num_params)
    >>> zoo = write_zoo(tempfile.mkdtemp(), params, spec, targets=[0, 1, 0, 1], names=["even", "odd"], val=1)
    >>> len(zoo.rows("train")), len(zoo.rows("val")), zoo.class_names
    (3, 1, ['even', 'odd'])
    """
    check_path("out", out, ZooError)
    if not isinstance(spec, NetworkSpec):
        raise SpecError(f"spec: expected a NetworkSpec, found {type(spec).__name__}")
    vectors = columns.vectors(params, spec)
    n = len(vectors)
    target, meaning = columns.targets(targets, names, n)
    item = torch.arange(n) if objects is None else columns.numbers("objects", objects, n)
    view = numbered_views(item) if views is None else columns.numbers("views", views, n)
    split = drawn_splits(item, val, test, seed) if splits is None else columns.splits(splits, n)
    if splits is not None and (val or test or seed):
        raise ZooError("splits say which networks are for validation and test: leave val, test and seed out")
    check_assignment(item, view, split, target if meaning["kind"] == "class" else None)
    if quality is not None and not isinstance(quality, Mapping):
        raise ZooError(f"quality: expected columns by name, as {{'psnr': values}}, found {type(quality).__name__}")
    measured = [columns.reals(f"quality {name}", column, (n,)) for name, column in (quality or {}).items()]
    tensors = {"params": vectors, "target": target, "object": item, "view": view, "split": split,
               "quality": torch.stack(measured, 1) if measured else torch.empty(n, 0)}  # fmt: skip
    said = _said(value_range, notes)
    digest = _digest(tensors, [spec.to_json(), meaning, list(quality or {}), said])
    provenance = {"written": {"digest": digest}, **said, "versions": {"weightspace": __version__}}
    return _write(out, tensors, ZooHeader(spec, meaning, list(quality or {}), provenance, shards=[]))


def _said(value_range: Sequence[float] | None, notes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Further entries of the provenance."""
    said: dict[str, Any] = {}
    if value_range is not None:
        if not isinstance(value_range, Sequence) or len(value_range) != 2:
            raise ZooError(f"value_range should be two different numbers, found {short(value_range)}")
        said["value_range"] = [check_number("value_range", end) for end in value_range]
    if notes is not None:
        try:
            said["notes"] = json.loads(json.dumps(dict(notes), allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ZooError(f"notes: expected what JSON can hold ({error})") from error
    return said


def _digest(tensors: Mapping[str, Tensor], said: Sequence[Any]) -> str:
    """sha256 of all that decides the zoo."""
    content = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for column in tensors.values():
        content.update(column.contiguous().numpy().data)
    return content.hexdigest()


def _write(out: str | Path, tensors: Mapping[str, Tensor], header: ZooHeader) -> Zoo:
    rows = rows_per_shard(header.spec)
    parts = [
        dict(zip(tensors, part, strict=True)) for part in zip(*(c.split(rows) for c in tensors.values()), strict=True)
    ]
    sizes = [len(part["params"]) for part in parts]
    with ZooWriter(out, {"written": header.provenance["written"]}, header, sizes=sizes) as writer:
        finished = writer.finished
        if not finished:
            for number, part in enumerate(parts):
                if number not in writer.done:
                    writer.write(part, [], number)
            writer.finish()
    return Zoo(out, check=finished)
