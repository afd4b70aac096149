"""The work of ``weightspace merge``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from jsonargparse import Namespace
from rich.table import Table
from safetensors.torch import save
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.checks import check_number
from weightspace.cli.console import make_console
from weightspace.cli.parser import key_values
from weightspace.errors import ConfigError
from weightspace.figures.images import save_figure
from weightspace.figures.merge import line_figure
from weightspace.files import write_whole
from weightspace.fitting.quality import psnr
from weightspace.importing.chain import check_fits
from weightspace.importing.spec_file import SPEC, read_spec
from weightspace.importing.state_dict import read_state_dict
from weightspace.importing.target_file import TARGET, read_target
from weightspace.network import decode
from weightspace.sources import Objects, Source, load_source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.sources.cnns import CNNSource
from weightspace.spec import NetworkSpec
from weightspace.studies.merge import groups_of, line, merge
from weightspace.symmetry import align
from weightspace.symmetry.alignment import squared_distance
from weightspace.text import PlainConsole

#: Points of the line.
STEPS = 11
#: Folders above a network's file that may have the architecture, as in an export.
ABOVE = 2


def run(options: Namespace) -> None:
    """Writes the mixture, prints distances and, with a source, what the networks on the line are good for.

    Args:
        options: options of ``weightspace merge``.

    Raises:
        ConfigError: a value is out of range or would be ignored, or a file cannot be read or written.
        SpecError: a group that the activation does not have.
        SourceError: the source is unknown, or its files are missing.
    """
    _check(options)
    spec = _architecture(options)
    first, second = (_network(name, spec, options) for name in (options.first, options.second))
    group = None if options.group == "none" else options.group
    merged = merge(first, second, options.weight, group)
    console = make_console()
    table = Table("alignment", "distance")
    table.add_row("none", _distance(first, second))
    for name in groups_of(first):
        table.add_row(name, _distance(first, align(first, second, name).apply(second)))
    console.print(table, soft_wrap=False)
    if options.source is not None:
        _measure_line(first, second, options, console)
    state = {name: tensor.contiguous() for name, tensor in spec.unpack(merged.params[0]).items()}
    try:
        write_whole(Path(options.out), save(state))
    except OSError as error:
        raise ConfigError(f"--out {options.out} cannot be written: {error.strerror}") from error
    console.print(
        f"the mixture, {1 - options.weight:g} of the first and {options.weight:g} of the second: {options.out}"
    )


def _measure_line(first: WeightBatch, second: WeightBatch, options: Namespace, console: PlainConsole) -> None:
    """Prints, and draws if that is asked for, what networks on the line are good for."""
    objects = load_source(options.source, **key_values(options.source_set or [], "source_set"))
    quantity, measure = _measure(objects, options, first.spec)
    measured = line(first, second, measure, steps=options.steps or STEPS)
    table = Table("alignment", "first", "middle", "second", "worst", title=quantity)
    for name, values in measured.items():
        column = values[:, 0]
        ends = (column[0], column[len(column) // 2], column[-1], column.min())
        table.add_row(name, *(f"{float(value):.3g}" for value in ends))
    console.print(table, soft_wrap=False)
    if options.picture:
        save_figure(line_figure(measured, quantity), options.picture)
        console.print(f"picture: {options.picture}")


def _check(options: Namespace) -> None:
    """Raises ConfigError for options that would be ignored, and for names of files that cannot be right."""
    if options.source is None:
        for name in ("source_set", "object", "picture", "steps", "value_range"):
            if options[name] is not None:
                raise ConfigError(f"--{name} needs a --source, by which networks on the line are measured")
    if options.steps is not None and (options.steps < 3 or options.steps % 2 == 0):
        raise ConfigError(f"--steps should be odd and at least 3, so that the middle is one, found {options.steps}")
    if options.norm_eps is not None:
        check_number("norm_eps", options.norm_eps, low=0)
    if not options.out.endswith(".safetensors"):
        raise ConfigError(f"--out {options.out}: the file's name should end in .safetensors")
    if not Path(options.out).parent.is_dir():
        raise ConfigError(f"--out {options.out}: there is no folder {Path(options.out).parent}")


def _architecture(options: Namespace) -> NetworkSpec:
    if options.spec is not None:
        return read_spec(Path(options.spec))
    found = _beside(options, SPEC)
    if found is None:
        raise ConfigError(
            f"the architecture of {options.first} is not known: there is no {SPEC} beside or above it. Give --spec, a "
            'JSON file like {"widths": [2, 32, 32, 1], "activation": "sine", "omega": 30}'
        )
    return read_spec(found)


def _beside(options: Namespace, name: str) -> Path | None:
    """The file of this name beside the first network or above it."""
    folder = Path(options.first).resolve().parent
    found = (above / name for above in (folder, *folder.parents[:ABOVE]))
    return next((path for path in found if path.is_file()), None)


def _value_range(options: Namespace) -> tuple[float, float]:
    """The outputs that stand for 0 and 1: as given, or as the export says of which the networks are."""
    if options.value_range is not None:
        low, high = (check_number("value_range", end) for end in options.value_range)
        if low == high:
            raise ConfigError(f"--value_range should be two different numbers, found {low:g} twice")
        return low, high
    path = _beside(options, TARGET)
    target = None if path is None else read_target(path.parent)
    return (0.0, 1.0) if target is None or target.value_range is None else target.value_range


def _network(name: str, spec: NetworkSpec, options: Namespace) -> WeightBatch:
    try:
        tensors = read_state_dict(Path(name), options.key, options.norm_eps).tensors
        check_fits(tensors, spec)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error
    params = torch.cat([tensor.reshape(-1) for tensor in tensors])
    if not params.isfinite().all():
        raise ConfigError(f"{name}: weights that are not finite")
    return WeightBatch(params[None], spec)


def _distance(first: WeightBatch, second: WeightBatch) -> str:
    return f"{float(squared_distance(first, second).sqrt()):.4g}"


def _measure(objects: Objects, options: Namespace, spec: NetworkSpec) -> tuple[str, Callable[[WeightBatch], Tensor]]:
    """What is measured of networks, and the function that does it."""
    item: int | None = options.object
    if objects.in_dim != spec.in_dim or objects.out_dim != spec.out_dim:
        raise ConfigError(
            f"networks {spec} are not of the source {objects.name}, which has {objects.in_dim} inputs and "
            f"{objects.out_dim} outputs"
        )
    if isinstance(objects, ClassifierSource | CNNSource):
        classifiers = objects
        for name in ("object", "value_range"):
            if options[name] is not None:
                raise ConfigError(f"--{name} has no effect: networks of {objects.name} store no object: leave it out")
        return "test accuracy", lambda batch: classifiers.accuracies(batch)[:, 0]
    if not isinstance(objects, Source) or item is None or not 0 <= item < len(objects):
        raise ConfigError(
            f"--object is the number of the object that both store, in 0..{len(objects) - 1}, found {item}"
        )
    points, values = objects.observations(torch.tensor([item]))
    value_range = _value_range(options)
    return "PSNR (dB)", lambda batch: psnr(decode(batch, points, value_range), values)
