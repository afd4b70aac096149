"""``weightspace zoo import|export``: networks of others in, and out again."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from weightspace.cli.console import make_console, tell_left
from weightspace.errors import ConfigError, ZooError, closest
from weightspace.importing import FORMATS, Listing, job
from weightspace.importing.arrays import ArrayListing
from weightspace.importing.export import EXPORTS
from weightspace.importing.formats import Format
from weightspace.importing.job import ZooImport, common_widths
from weightspace.importing.spec_file import read_spec
from weightspace.importing.target_file import read_target
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader

console = make_console()


def import_(
    source: str,
    format: str,
    out: str,
    splits: str | None = None,
    view_from: str | None = None,
    prefix: str | None = None,
    labels: str | None = None,
    label_regex: str | None = None,
    key: str | None = None,
    spec: str | None = None,
    activation: str | None = None,
    omega: float | list[float] | None = None,
    output_offset: float | None = None,
    value_range: list[float] | None = None,
    target: str | None = None,
    val: int = 0,
    test: int = 0,
    seed: int = 0,
    strict: bool = False,
) -> None:
    """Brings networks that others have fitted into a zoo. An import that was cut goes on with the same command.

    Args:
        source: folder (or .npz file) of the networks.
        format: dwsnets, nfn, folder or numpy.
        out: folder of the zoo.
        splits: JSON file with the paths of each split, for dwsnets.
        view_from: where the view is in a path, as 'view_{view}/', or none: for dwsnets (default '{view}/') and folder.
        prefix: of the folders, for nfn.
        labels: CSV with the columns path, label and perhaps object, view, split, for folder.
        label_regex: regular expression for the path, whose first group is the label, for folder.
        key: where the network is in files that hold more, as model_ema, or state_dict.net in a checkpoint; "." for the
            file itself. Not for numpy.
        spec: JSON file with the architecture, for numpy.
        activation: sine, tanh or relu; dwsnets and nfn have sine.
        omega: frequency of sine layers (30 if not given), or one for each hidden layer.
        output_offset: constant that the networks add to their output; dwsnets has 0.5.
        value_range: what 0 and 1 of the objects are in the outputs; nfn has [-1, 1].
        target: class, or value for numbers; default what target.json beside the networks says (exports have one), else
            class.
        val: validation objects, where the files name no splits.
        test: test objects, where the files name no splits.
        seed: of the choice of these objects.
        strict: make a network that does not fit an error.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}: {closest(format, FORMATS)}")
    if target not in (None, "class", "value"):
        raise ConfigError(f"target: expected class or value, found {target!r}")
    chosen, root = FORMATS[format], Path(source).expanduser()
    if not root.exists():
        raise ZooError(f"there is nothing at {root} to import")
    given = {"splits": splits, "view_from": view_from, "prefix": prefix, "labels": labels, "label_regex": label_regex,
             "key": key, "spec": spec}  # fmt: skip
    listing = chosen.make(root, **_options(format, {name: value for name, value in given.items() if value is not None}))
    listing.divide(val, test, seed)
    known = read_target(root if root.is_dir() else root.parent) if target is None and chosen.exported else None
    kind, names = (known.kind, known.names) if known else (target or "class", ())
    listing.settle(kind)
    network = _spec(listing, chosen, activation, omega, output_offset)
    console.print(f"{format}: {len(listing.entries)} networks {network} of {len(listing.object_ids)} objects")
    limits = value_range or list((known and known.value_range) or chosen.value_range)
    facts = {"imported": {"format": format}, "value_range": limits}
    facts |= {} if key is None else {"key": key}
    finished = (Path(out) / FILE).exists()
    run = ZooImport(listing, network, out, kind, facts, {"import_path": str(root.resolve())}, strict, names)
    try:
        header = _progress(run)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped: whole shards in {out} are kept, the same command goes on") from None
    if finished:
        console.print("finished already: nothing to do")
    tell_left(console, [*listing.not_networks, *((network["path"], network["reason"]) for network in header.left_out)])
    console.print(f"zoo of {header.rows} networks at {out}")


def export(zoo: str, out: str, format: str = "folder") -> None:
    """Writes the networks of a zoo as files that anybody can read, and that can be imported again.

    Args:
        zoo: folder of the zoo.
        out: a folder that does not exist yet.
        format: folder (a safetensors file per network, with labels.csv, spec.json and target.json) or numpy (arrays).
    """
    if format not in EXPORTS:
        raise ConfigError(f"unknown format {format!r}: {closest(format, EXPORTS)}")
    opened = Zoo(zoo)
    with _bar("exporting") as progress:
        task = progress.add_task("", total=len(opened), notes="")
        EXPORTS[format](opened, Path(out), lambda done: progress.update(task, completed=done))
    console.print(f"{len(opened)} networks in {out}")


def _options(format: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options, all of which the format must take."""
    for name in given:
        takers = [key for key, each in FORMATS.items() if name in inspect.signature(each.make).parameters]
        if format not in takers:
            raise ConfigError(f"{name}: an option of {' and '.join(takers)}, not of {format}")
    return given


def _spec(
    listing: Listing, chosen: Format, activation: str | None, omega: Any, output_offset: float | None
) -> NetworkSpec:
    """The architecture, from a file where there is one, else found out, as far as it can be."""
    facts = (activation, omega, output_offset)
    if isinstance(listing, ArrayListing) or (chosen.activation is None and (listing.root / "spec.json").is_file()):
        if any(fact is not None for fact in facts):
            raise ConfigError("activation, omega and output_offset are in spec.json: leave them out")
        return listing.spec if isinstance(listing, ArrayListing) else read_spec(listing.root / "spec.json")
    name = activation or chosen.activation
    if name is None:
        raise ConfigError("activation: weights do not tell it, give --activation sine (with --omega), tanh or relu")
    frequency = 1.0 if name != "sine" and omega is None else chosen.omega if omega is None else omega
    offset = chosen.output_offset if output_offset is None else output_offset
    frequencies = tuple(frequency) if isinstance(frequency, list) else frequency
    return NetworkSpec(common_widths(listing), name, frequencies, offset)


def _progress(run: ZooImport) -> ZooHeader:
    with _bar("importing") as progress:
        task = progress.add_task("", total=len(run), notes="")
        last = [time.monotonic()]

        def report(state: job.Progress) -> None:
            notes = f"{state.left_out} left out" if state.left_out else ""
            progress.update(task, completed=state.done, notes=notes)
            if not console.is_terminal and time.monotonic() > last[0] + 10:
                last[0] = time.monotonic()  # a log gets a line now and then
                speed, left = progress.tasks[0].speed or 0, progress.tasks[0].time_remaining
                progress.print(f"{state.done}/{state.total} networks, {speed:.0f}/s, {left or 0:.0f} s left {notes}")

        return run.run(report)


class _Rate(ProgressColumn):
    """Networks per second."""

    def render(self, task: Task) -> Text:
        """Nothing, before there is a rate."""
        return Text(f"{task.speed:.0f} networks/s" if task.speed else "")


def _bar(deed: str) -> Progress:
    columns = (
        TextColumn(deed), BarColumn(), MofNCompleteColumn(), _Rate(),
        TimeRemainingColumn(), TextColumn("{task.fields[notes]}"),
    )  # fmt: skip
    return Progress(*columns, console=console)
