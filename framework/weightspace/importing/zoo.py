"""Making a zoo of third-party networks: ``import_zoo``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weightspace.activations import ACTIVATIONS
from weightspace.checks import check_choice, check_number
from weightspace.errors import ConfigError, ZooError, closest
from weightspace.importing import job
from weightspace.importing.formats import FORMATS, Format
from weightspace.importing.job import ZooImport, common_chain
from weightspace.importing.listing import Listing
from weightspace.importing.target_file import TargetFile, read_target
from weightspace.progress import Display
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader
from weightspace.zoo.resumable import resumable

#: A decimal number.
_REAL = re.compile(r"-?\d*\.?\d+(e-?\d+)?")


def import_zoo(
    source: str | Path,
    out: str | Path,
    *,
    format: str,
    splits: str | Path | None = None,
    view_from: str | None = None,
    prefix: str | None = None,
    labels: str | Path | None = None,
    label_regex: str | None = None,
    key: str | None = None,
    spec: str | Path | None = None,
    norm_eps: float | None = None,
    activation: str | None = None,
    omega: float | Sequence[float] | None = None,
    output_offset: float | None = None,
    value_range: Sequence[float] | None = None,
    target: str | None = None,
    where: Mapping[str, Any] | None = None,
    val: int = 0,
    test: int = 0,
    seed: int = 0,
    strict: bool = False,
    progress: bool | None = None,
) -> Zoo:
    """Imports third-party networks into a zoo. Running an interrupted import again resumes it.

    Args:
        source: folder (or .npz file) of the networks.
        out: folder of the zoo.
        format: dwsnets, nfn, small-cnn-zoo, folder or numpy.
        splits: JSON file with the paths of each split, for dwsnets.
        view_from: location of the view in a path, as 'view_{view}/', or none; for dwsnets (default '{view}/') and
            folder.
        prefix: prefix of the folders, for nfn.
        labels: CSV with the columns path and label and, optionally, object, view, split, for folder.
        label_regex: regular expression for the path, whose first group is the label, for folder.
        key: location of the network in files with other contents, as model_ema, or state_dict.net in a checkpoint; "."
            for the top level of the file. Not for numpy.
        spec: JSON file with the architecture, for numpy, for folder, where networks with convolutions need it, and for
            small-cnn-zoo, if strides and padding are not the published ones; default spec.json in the folder.
        norm_eps: what the networks' batch normalisation adds to variances, for folder, where it is folded into the
            layers before it; default 1e-5, that of torch.
        activation: sine, tanh or relu; dwsnets and nfn have sine, the table of small-cnn-zoo names it.
        omega: frequency of sine layers (30 if not given), or one for each hidden layer.
        output_offset: constant that the networks add to their output; dwsnets has 0.5.
        value_range: outputs of the networks for the values 0 and 1 of an object; nfn has [-1, 1].
        target: class, or value for numbers; default the one in target.json beside the networks (written by exports),
            else class. Of small-cnn-zoo: test_accuracy (default), train_accuracy, test_loss or train_loss.
        where: values of columns of the table of small-cnn-zoo, as {"activation": "relu"}: others are not imported.
        val: number of validation objects, if the files define no splits.
        test: number of test objects, if the files define no splits.
        seed: seed with which these objects are drawn.
        strict: raise an error for a network that does not fit, instead of leaving it out.
        progress: whether to show lines and a bar; by default on a terminal and in a notebook.

    Raises:
        ConfigError: an argument is wrong, missing, or not available for this format.
        ZooError: the files have another structure, or the folder cannot be written or contains another zoo.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}: {closest(str(format), FORMATS)}")
    chosen, root, display = FORMATS[format], Path(source).expanduser(), Display(progress)
    column = target if _takes(chosen, "target") else None
    if target is not None and column is None:
        check_choice("target", target, ("class", "value"))
    if not root.exists():
        raise ZooError(f"there is nothing at {root} to import")
    given = {"splits": splits, "view_from": view_from, "prefix": prefix, "labels": labels, "label_regex": label_regex,
             "key": key, "spec": spec, "norm_eps": norm_eps, "where": where or None, "target": column}  # fmt: skip
    listing = chosen.make(root, **_options(format, {name: value for name, value in given.items() if value is not None}))
    listing.divide(val, test, seed)
    known = listing.target or _known_target(chosen, root, target)
    if format == "numpy" and target is None and known == TargetFile("class", ()):
        _check_class_names(listing)
    listing.sort_and_deduplicate(known.kind)
    network = _architecture(listing, chosen, activation, omega, output_offset)
    display.say(f"{format}: {len(listing.entries)} networks {network} of {len(listing.object_ids)} objects")
    limits = [check_number("value_range", end) for end in value_range or known.value_range or chosen.value_range]
    arguments = {"imported": {"format": format}, "value_range": limits} | {
        name: value for name, value in (("key", key), ("norm_eps", norm_eps)) if value is not None
    }
    notes = {**listing.notes, "import_path": str(root.resolve())}
    run = ZooImport(listing, network, out, known.kind, arguments, notes, strict, known.names)
    finished = (run.writer.path / FILE).exists()
    header = _run(run, display)
    if finished:
        display.say("finished already: nothing to do")
    display.list_left_out([*listing.not_networks, *((item["path"], item["reason"]) for item in header.left_out)])
    display.say(f"zoo of {header.rows} networks at {out}")
    return Zoo(out, check=finished)  # the import has checked the shards that it has not written itself


def _options(format: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the options after checking that the format takes all of them."""
    for name in given:
        takers = [key for key, each in FORMATS.items() if _takes(each, name)]
        if format not in takers:
            why = ", which has no table of hyperparameters" if name == "where" else ""
            raise ConfigError(f"{name}: an option of {' and '.join(takers)}, not of {format}{why}")
    return given


def _takes(format: Format, option: str) -> bool:
    return option in inspect.signature(format.make).parameters


def _known_target(chosen: Format, root: Path, kind: str | None) -> TargetFile:
    """Kind and names of the targets, and the value range, from the ``target.json`` of an export; or the given kind."""
    known = read_target(root if root.is_dir() else root.parent) if chosen.exported else None
    if known is None or kind is None:
        return known or TargetFile(kind or "class", ())
    return TargetFile(kind, (), known.value_range)


def _check_class_names(listing: Listing) -> None:
    """Raises ConfigError if what would become names of classes are real numbers."""
    labels = {number for entry in listing.entries for number in str(entry.label).split()}
    reals = sorted(label for label in labels if _REAL.fullmatch(label) and float(label) % 1)
    if reals:
        raise ConfigError(
            f"the targets are real numbers, such as {reals[0]}: give --target value to predict them, or --target class "
            "if they are names"
        )


def _architecture(
    listing: Listing,
    chosen: Format,
    activation: str | None,
    omega: float | Sequence[float] | None,
    output_offset: float | None,
) -> NetworkSpec:
    """Reads the architecture from a file if there is one, else derives it from the networks and the arguments."""
    found = listing.architecture()
    if found is not None:
        if any(value is not None for value in (activation, omega, output_offset)):
            raise ConfigError(f"activation, omega and output_offset are in {listing.described_in}: leave them out")
        return found
    name = activation or chosen.activation
    if name is None:
        names = [f"{name} (with omega)" if each.has_frequency else name for name, each in ACTIVATIONS.items()]
        raise ConfigError(f"activation is missing and cannot be read from weights: give one of {', '.join(names)}")
    has_frequency = name in ACTIVATIONS and ACTIVATIONS[name].has_frequency
    frequency = omega if omega is not None else chosen.omega if has_frequency else 1.0
    frequencies = tuple(frequency) if isinstance(frequency, Sequence) else frequency
    offset = chosen.output_offset if output_offset is None else output_offset
    chain = common_chain(listing)
    return NetworkSpec(chain.widths, name, frequencies, offset, biases=chain.biases)


def _run(run: ZooImport, display: Display) -> ZooHeader:
    with display.bar("importing") as report:

        def show(state: job.Progress) -> None:
            report(state.done, state.total, f"{state.left_out} left out" if state.left_out else "")

        with resumable(f"complete shards in {run.writer.path} are kept"):
            return run.run(show)
