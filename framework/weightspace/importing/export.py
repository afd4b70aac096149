"""Exporting the networks of a zoo to common file formats, which can be imported again: ``export_zoo``."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from weightspace.errors import ConfigError, ZooError, closest
from weightspace.files import hold, remove_leftover, write_whole
from weightspace.importing.labels_table import LABELS
from weightspace.importing.spec_file import SPEC
from weightspace.importing.target_file import TARGET, TargetFile
from weightspace.progress import Display
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS

#: Number of rows that are in memory at once.
BLOCK = 1024


def export_zoo(zoo: str | Path | Zoo, out: str | Path, format: str = "folder", progress: bool | None = None) -> Path:
    """Writes the networks of a zoo in a common file format, which can be imported again.

    Args:
        zoo: folder of the zoo, or a ``Zoo``.
        out: a folder that does not exist yet, or is empty.
        format: folder (a safetensors file per network, with labels.csv, spec.json and target.json) or numpy (arrays).
        progress: whether to show lines and a bar; by default on a terminal and in a notebook.

    Returns:
        The path of the folder.

    Raises:
        ConfigError: the format is unknown.
        ZooError: the zoo is not complete, or the folder is not empty or cannot be written.
    """
    if format not in EXPORTS:
        raise ConfigError(f"unknown format {format!r}: {closest(format, EXPORTS)}")
    opened, folder = zoo if isinstance(zoo, Zoo) else Zoo(zoo), Path(out).expanduser()
    if folder.exists() and folder.samefile("."):
        raise ZooError(f"{out} is the folder in which this runs, which cannot be replaced: name another, as files")
    display = Display(progress)
    with display.bar("exporting") as report:
        EXPORTS[format](opened, folder, lambda done: report(done, len(opened)))
    display.say(f"{len(opened)} networks in {folder}")
    return folder


def export_folder(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    """Writes one safetensors file per network, ``<split>/<object>_<view>.safetensors``, with labels.csv, spec.json and
    target.json.

    Args:
        zoo: the zoo to export.
        out: a folder that does not exist, or is empty.
        report: called with the number of networks written so far.

    Raises:
        ZooError: the folder is not empty, or cannot be written.
    """
    with whole_folder(out, _bytes(zoo)) as folder:
        _write_files(zoo, folder, report)
        _write_metadata(zoo, folder)


def _write_files(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    table = io.StringIO()
    rows_of_table = csv.writer(table, lineterminator="\n")
    rows_of_table.writerow(["path", "label", "object", "view", "split"])
    for split in SPLITS:
        if len(zoo.rows(split)):
            (out / split).mkdir()
    for rows in torch.arange(len(zoo)).split(BLOCK):
        labels = _labels(zoo, rows)
        columns = zip(
            labels, zoo.objects[rows].tolist(), zoo.views[rows].tolist(), zoo.splits[rows].tolist(), strict=True
        )
        for params, (label, item, view, split) in zip(zoo.params(rows), columns, strict=True):
            name = f"{SPLITS[split]}/{item}_{view}.safetensors"
            safetensors.torch.save_file(zoo.spec.unpack(params), out / name)
            rows_of_table.writerow([name, label, item, view, SPLITS[split]])
        report(int(rows[-1]) + 1)
    write_whole(out / LABELS, table.getvalue().encode())


def export_numpy(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    """Writes arrays ``params.npy`` (n, P), ``target.npy``, ``object.npy``, ``view.npy`` and ``split.npy``, with
    spec.json and target.json.

    Args:
        zoo: the zoo to export.
        out: a folder that does not exist, or is empty.
        report: called with the number of networks written so far.

    Raises:
        ZooError: the folder is not empty, or cannot be written.
    """
    with whole_folder(out, _bytes(zoo)) as folder:
        _write_arrays(zoo, folder, report)
        _write_metadata(zoo, folder)


def _write_arrays(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(zoo), zoo.spec.num_params)}
    with (out / "params.npy").open("wb") as file:  # not memory-mapped: a full disk would kill the process
        np.lib.format.write_array_header_1_0(file, header)
        for rows in torch.arange(len(zoo)).split(BLOCK):
            file.write(zoo.params(rows).numpy().astype("<f4", copy=False).tobytes())
            report(int(rows[-1]) + 1)
    target: Any = np.array(_labels(zoo, torch.arange(len(zoo)))) if zoo.class_names else zoo.targets.numpy()
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    columns = {"target": target, "object": zoo.objects.numpy(), "view": zoo.views.numpy(), "split": zoo.splits.numpy()}
    for name, column in columns.items():
        np.save(out / f"{name}.npy", column, allow_pickle=False)


#: Writes the files of a format: (zoo, folder, report) -> None
EXPORTS: dict[str, Callable[[Zoo, Path, Callable[[int], None]], None]] = {
    "folder": export_folder,
    "numpy": export_numpy,
}


@contextmanager
def whole_folder(out: Path, needed: int) -> Iterator[Path]:
    """Yields a temporary folder, which is renamed to ``out`` at the end, or removed after an error.

    Temporary folders of killed processes are removed first.

    Args:
        out: the final folder.
        needed: smallest size of its files in bytes, for the message about a full disk.

    Raises:
        ZooError: ``out`` exists already and is not an empty folder, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ZooError(f"{out} exists already: choose another folder, or remove it")
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    lock = -1
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out)
        free = shutil.disk_usage(out.parent).free
        if free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        temporary.mkdir()
        lock = os.open(temporary, os.O_RDONLY)
        hold(lock)
        yield temporary
        temporary.replace(out)
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ZooError(f"{out} cannot be written: {reason} (its files take at least {needed:,} bytes)") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def _remove_leftovers(out: Path) -> None:
    """Removes the temporary folders of killed exports to the same folder."""
    for folder in out.parent.iterdir():
        if re.fullmatch(re.escape(f".{out.name}.") + r"\d+\.tmp", folder.name) and folder.is_dir():
            remove_leftover(folder)


def _bytes(zoo: Zoo) -> int:
    return 4 * zoo.spec.num_params * len(zoo)


def _write_metadata(zoo: Zoo, out: Path) -> None:
    """Writes architecture and target, so that an import gives the same zoo."""
    write_whole(out / SPEC, (json.dumps(zoo.spec.to_json(), indent=1) + "\n").encode())
    write_whole(out / TARGET, TargetFile.of(zoo).to_text().encode())


def _labels(zoo: Zoo, rows: Tensor) -> list[str]:
    """Labels as text: names of classes, or numbers separated by spaces."""
    names = zoo.class_names
    if names is None:
        return [" ".join(map(repr, values)) for values in zoo.targets[rows].tolist()]
    return [names[number] for number in zoo.targets[rows].tolist()]
