"""Reading the file of one network without trusting its contents."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from weightspace.files import require_regular
from weightspace.files.reading import reading, refused_pickle
from weightspace.importing.chain import layers
from weightspace.importing.listing import Contents
from weightspace.importing.network_part import NetworkError, network_part

#: Number of bytes by which the unpacked size of a torch file may exceed its size, since torch does not compress.
SLACK = 1 << 16
#: How many batches a layer of normalisation has seen: no part of what it computes.
COUNTS = "num_batches_tracked"


def read_state_dict(path: Path, key: str | None = None, norm_eps: float | None = None) -> Contents:
    """Reads a network, and its label if there is one, from a file of torch (zip format) or safetensors.

    Its tensors may be in a nested dictionary, as in a training checkpoint, if no other dictionary contains a network.

    Args:
        path: file whose name ends in .ckpt, .pth, .pt or .safetensors.
        key: location of the network in the file: the name of a dictionary, or a prefix of the names of its tensors, or
            both with a dot between them; ".": the top level of the file.
        norm_eps: what batch normalisation, which is folded, adds to variances; None: 1e-5.

    Raises:
        ValueError: the file cannot be used; the message is the reason. A pickle that contains anything but tensors and
            plain containers is not run.
    """
    safe = path.suffix.lower() == ".safetensors"
    with reading(_refuse, passed=(NetworkError,)):
        size = require_regular(path)
        data = safetensors.torch.load_file(path) if safe else _load_torch(path, size)
        return contents(data, size, ordered=not safe, key=key, norm_eps=norm_eps)


def _refuse(error: Exception) -> NetworkError:
    if isinstance(error, pickle.UnpicklingError):
        return NetworkError(f"refused: {refused_pickle(error)}")
    if isinstance(error, FileNotFoundError):
        return NetworkError("no such file")
    said = error.strerror if isinstance(error, OSError) else None  # a zoo keeps the reason without the path
    reason = said or f"{type(error).__name__}: {_line(error)}"
    return NetworkError(f"not a readable file ({reason})")


def contents(data: Any, size: int, ordered: bool, key: str | None = None, norm_eps: float | None = None) -> Contents:
    """Finds the layers and the label in the contents of a file.

    Args:
        data: a dictionary of tensors, possibly nested.
        size: size of the file in bytes; no tensor can be larger.
        ordered: whether its keys are in the order of the layers; else they are sorted in natural order.
        key: location of the network, see ``read_state_dict``.
        norm_eps: see ``read_state_dict``.

    Raises:
        NetworkError: there are no layers, or the tensors are not those of one network.
    """
    if not isinstance(data, Mapping):
        raise NetworkError(f"expected a state_dict, found {type(data).__name__}")
    label = data.get("label")
    found = network_part({name: value for name, value in data.items() if name != "label"}, key)
    plain = {name: _plain(name, tensor, size) for name, tensor in found.items() if not name.endswith(COUNTS)}
    return Contents(layers(plain, ordered, norm_eps), label)


def _plain(name: str, tensor: Tensor, size: int) -> Tensor:
    """Converts a tensor to float32 without gradient history, after checks of its type and size."""
    kinds = {"nested": tensor.is_nested, "quantised": tensor.is_quantized, "meta": tensor.device.type == "meta",
             "sparse": tensor.layout != torch.strided}  # fmt: skip
    odd = [kind for kind, found in kinds.items() if found]
    if odd or not tensor.is_floating_point():
        raise NetworkError(f"{name} should hold real numbers, found {' '.join([*odd, str(tensor.dtype)])}")
    if tensor.numel() * tensor.element_size() > size:
        raise NetworkError(f"{name} claims {tensor.numel()} numbers, more than the file can hold")
    return tensor.detach().to(torch.float32)


def _load_torch(path: Path, size: int) -> Any:
    if not zipfile.is_zipfile(path):
        raise NetworkError(
            "not a readable file: not in the zip format of torch 1.6 and later. Load and save it with a newer torch, "
            "if it is older"
        )
    with zipfile.ZipFile(path) as file:
        if sum(entry.file_size for entry in file.infolist()) > size + SLACK:
            raise NetworkError("not a readable file: it claims to contain more than its size")
        if file.testzip() is not None:
            raise NetworkError("not a readable file: its checksum is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:200]
