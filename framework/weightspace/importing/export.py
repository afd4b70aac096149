"""Taking networks out of a zoo: files or arrays that anybody can read, and that can be imported again."""

from __future__ import annotations

import csv
import io
import json
import os
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

from weightspace.errors import ZooError
from weightspace.files import write_whole
from weightspace.zoo import Zoo
from weightspace.zoo.header import SPLITS

#: Rows that are in memory at once.
BLOCK = 1024


def export_folder(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    """One safetensors file per network, ``<split>/<object>_<view>.safetensors``, with labels.csv and spec.json.

    Args:
        zoo: what to export.
        out: a folder that does not exist, or is empty.
        report: called with the number of networks that were written.

    Raises:
        ZooError: the folder holds something, or cannot be written.
    """
    with whole_folder(out) as folder:
        _write_files(zoo, folder, report)
        _write_spec(zoo, folder)


def _write_files(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    table = io.StringIO()
    rows_of_table = csv.writer(table, lineterminator="\n")
    rows_of_table.writerow(["path", "label", "object", "view", "split"])
    for split in SPLITS:
        if len(zoo.rows(split)):
            (out / split).mkdir()
    for rows in torch.arange(len(zoo)).split(BLOCK):
        labels = _labels(zoo, rows)
        facts = zip(
            labels, zoo.objects[rows].tolist(), zoo.views[rows].tolist(), zoo.splits[rows].tolist(), strict=True
        )
        for params, (label, item, view, split) in zip(zoo.params(rows), facts, strict=True):
            name = f"{SPLITS[split]}/{item}_{view}.safetensors"
            safetensors.torch.save_file(zoo.spec.unpack(params), out / name)
            rows_of_table.writerow([name, label, item, view, SPLITS[split]])
        report(int(rows[-1]) + 1)
    write_whole(out / "labels.csv", table.getvalue().encode())


def export_numpy(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    """Arrays ``params.npy`` (n, P), ``target.npy``, ``object.npy``, ``view.npy`` and ``split.npy``, with spec.json.

    Args:
        zoo: what to export.
        out: a folder that does not exist, or is empty.
        report: called with the number of networks that were written.

    Raises:
        ZooError: the folder holds something, or cannot be written.
    """
    with whole_folder(out) as folder:
        _write_arrays(zoo, folder, report)
        _write_spec(zoo, folder)


def _write_arrays(zoo: Zoo, out: Path, report: Callable[[int], None]) -> None:
    shape = (len(zoo), zoo.spec.num_params)
    params = np.lib.format.open_memmap(out / "params.npy", mode="w+", dtype=np.float32, shape=shape)
    for rows in torch.arange(len(zoo)).split(BLOCK):
        params[rows.numpy()] = zoo.params(rows).numpy()
        report(int(rows[-1]) + 1)
    params.flush()
    everything = torch.arange(len(zoo))
    target: Any = np.array(_labels(zoo, everything)) if zoo.class_names else _values(zoo, everything).numpy()
    columns = {"target": target, "object": zoo.objects.numpy(), "view": zoo.views.numpy(), "split": zoo.splits.numpy()}
    for name, column in columns.items():
        np.save(out / f"{name}.npy", column, allow_pickle=False)


#: What writes a format: (zoo, folder, report)
EXPORTS: dict[str, Callable[[Zoo, Path, Callable[[int], None]], None]] = {
    "folder": export_folder,
    "numpy": export_numpy,
}


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out``, which takes its name at the end, or is removed after an error.

    Raises:
        ZooError: ``out`` exists already and is not an empty folder, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ZooError(f"{out} exists already: choose another --out, or remove it")
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(out)
    except (OSError, safetensors.SafetensorError) as error:
        raise ZooError(f"{out} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_spec(zoo: Zoo, out: Path) -> None:
    write_whole(out / "spec.json", (json.dumps(zoo.spec.to_json(), indent=1) + "\n").encode())


def _labels(zoo: Zoo, rows: Tensor) -> list[str]:
    names = zoo.class_names
    if names is None:
        return [repr(value) for value in _values(zoo, rows).tolist()]
    return [names[int(target)] for target in zoo.targets[rows]]


def _values(zoo: Zoo, rows: Tensor) -> Tensor:
    if zoo.targets.shape[1] != 1:
        raise ZooError(f"{zoo.path} has {zoo.targets.shape[1]} numbers per target, and only one can be exported")
    return zoo.targets[rows, 0]
