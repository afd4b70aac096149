"""The import format ``numpy``: arrays of parameter vectors with a spec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from weightspace.errors import ZooError
from weightspace.files import require_regular
from weightspace.files.reading import reading
from weightspace.importing.listing import Contents, Entry, Listing, split_name
from weightspace.importing.npz import check_npz
from weightspace.importing.spec_file import read_spec
from weightspace.spec import NetworkSpec
from weightspace.zoo.header import SPLITS

#: Names of the arrays, all with n rows: params (n, P); optional: target (n) or (n, T), object, view and split (n).
NAMES = ("params", "target", "object", "view", "split")


#: Rows of an array that are read at a time.
ROWS = 1024


class ArrayListing(Listing):
    """The rows of an array, which is memory-mapped if it is a .npy file."""

    def __init__(self, root: Path, params: np.ndarray, spec: NetworkSpec) -> None:
        super().__init__(root)
        self.params, self.spec = params, spec

    def architecture(self) -> NetworkSpec:
        """The architecture in the file beside the arrays."""
        return self.spec

    def read(self, entry: Entry) -> Contents:
        """Reads one row of the array."""
        row = self.params[int(entry.name.removeprefix("row "))]
        with np.errstate(over="ignore"):  # overflows become infinite and are reported as such
            vector = torch.from_numpy(row.astype(np.float32))  # also float64 and the other byte order
        return Contents(list(self.spec.unpack(vector).values()))

    def contents(self) -> Iterator[bytes]:
        """The array, some rows at a time."""
        return (self.params[first : first + ROWS].tobytes() for first in range(0, len(self.params), ROWS))


def arrays(root: Path, spec: str | None = None) -> Listing:
    """Lists the networks of arrays: ``params.npy`` (n, P) in the order of nn.Linear, with targets, objects and so on.

    Args:
        root: a folder with ``params.npy``, ``target.npy``, ``object.npy``, ``view.npy`` and ``split.npy``, all but the
            first optional, or an .npz file with arrays of these names.
        spec: the JSON file of the architecture; default ``spec.json`` in the folder, or beside the .npz file.

    Raises:
        ZooError: a file is missing, damaged or pickled, or the arrays do not match.
    """
    base = root if root.is_dir() else root.parent
    architecture = read_spec(Path(spec).expanduser() if spec else base / "spec.json")
    found = _load(root)
    params = found.get("params")
    if params is None or params.ndim != 2 or params.dtype.kind != "f":
        shape = "none" if params is None else f"{params.dtype} {params.shape}"
        raise ZooError(f"{root}: expected an array params (n, P) of real numbers, found {shape}")
    if params.shape[1] != architecture.num_params:
        raise ZooError(f"{root}: {architecture} has {architecture.num_params} parameters, found params {params.shape}")
    for name, array in found.items():
        several = name == "target" and array.ndim == 2 and array.shape[1] and array.dtype.kind in "fiu"
        if name != "params" and array.shape != (len(params),) and not (several and len(array) == len(params)):
            raise ZooError(f"{root}: expected {name} ({len(params)},), found {array.shape}")
    if "target" not in found:
        raise ZooError(f"{root}: expected an array target, the label of each network; found {', '.join(found)}")
    listing = ArrayListing(root, params, architecture)
    columns = {name: _texts(array, name, root) for name, array in found.items() if name != "params"}
    for row in range(len(params)):
        fields = {name: column[row] for name, column in columns.items()}
        key, view = fields.get("object", str(row)), fields.get("view", "0")
        listing.entries.append(Entry(f"row {row}", key, view, fields["target"], fields.get("split")))
    return listing


def _load(root: Path) -> dict[str, np.ndarray]:
    def refuse(error: Exception) -> ZooError:
        return ZooError(f"{root} cannot be read as arrays ({type(error).__name__}: {error})")

    with reading(refuse):
        if root.is_dir():
            paths = {name: root / f"{name}.npy" for name in NAMES}
            for path in paths.values():
                if path.exists():
                    require_regular(path)
            return {n: np.load(p, mmap_mode="r", allow_pickle=False) for n, p in paths.items() if p.is_file()}
        check_npz(root)
        with np.load(root, allow_pickle=False) as file:
            return {name: file[name] for name in NAMES if name in file}


def _texts(array: np.ndarray, name: str, root: Path) -> list[str]:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if name == "split":
        if array.dtype.kind in "iu":
            if len(array) and not 0 <= array.min() <= array.max() < len(SPLITS):
                raise ZooError(f"{root}: split should be in 0..{len(SPLITS) - 1}, found {array.min()}..{array.max()}")
            return [SPLITS[int(number)] for number in array]
        return [split_name(str(text), root) for text in array]
    if array.dtype.kind not in "biufU":
        raise ZooError(f"{root}: {name} should hold numbers or texts, found {array.dtype}")
    if array.ndim == 2:
        return [" ".join(map(repr, row)) for row in array.tolist()]
    return [str(value) for value in array.tolist()]
