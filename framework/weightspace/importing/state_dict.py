"""Reading one network's file, trusting nothing in it."""

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

from weightspace.importing.listing import Contents
from weightspace.names import natural

#: Bytes that a torch file may hold, unpacked, beyond its own size: torch does not compress.
SLACK = 1 << 16


def read_state_dict(path: Path) -> Contents:
    """Reads a state_dict from a file of torch (zip format) or safetensors, with a label that may lie beside it.

    The tensors may lie in a dictionary within the file (``state_dict``, ``model``, ...), if it is the only one.

    Args:
        path: ends in .pth, .pt or .safetensors.

    Raises:
        ValueError: what is wrong; a pickle that asks for anything but tensors and plain containers is not run.
    """
    try:
        safe = path.suffix == ".safetensors"
        data = safetensors.torch.load_file(path) if safe else _load_torch(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"refused: its pickle asks for more than tensors and plain containers ({_line(error)})"
        ) from error
    except FileNotFoundError as error:
        raise ValueError("no such file") from error
    except Exception as error:  # torch raises many kinds for a damaged file; all of them mean this
        raise ValueError(f"not a readable file ({type(error).__name__}: {_line(error)})") from error
    return contents(data, path.stat().st_size, ordered=not safe)


def contents(data: Any, size: int, ordered: bool) -> Contents:
    """Finds layers and label in what was read.

    Args:
        data: a dictionary of tensors.
        size: of the file in bytes: no tensor can be larger.
        ordered: whether its keys are in the order of the layers; else their natural order is taken.

    Raises:
        ValueError: no layers, or tensors that are not one network's.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"expected a state_dict, found {type(data).__name__}")
    label = data.get("label")
    nested = [value for value in data.values() if isinstance(value, Mapping)]
    state = nested[0] if len(nested) == 1 else data
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor) and key != "label"}
    if not tensors or not all(isinstance(key, str) for key in tensors):
        raise ValueError("expected tensors by name, found none")
    for key, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.layout != torch.strided:
            raise ValueError(f"{key} should hold real numbers, found {tensor.dtype}")
        if tensor.numel() * tensor.element_size() > size:
            raise ValueError(f"{key} claims {tensor.numel()} numbers, more than the file can hold")
    return Contents(_layers(tensors, ordered), label)


def widths_of(tensors: list[Tensor]) -> tuple[int, ...]:
    """Widths of the network with these layers.

    Raises:
        ValueError: no hidden layer, or layers that do not follow one another.
    """
    weights, biases = tensors[0::2], tensors[1::2]
    if len(weights) < 2:
        raise ValueError(f"expected at least two layers, found {len(weights)}")
    widths = [weights[0].shape[1]]
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if weight.shape[1] != widths[-1] or bias.shape[0] != weight.shape[0]:
            shapes = [tuple(tensor.shape) for tensor in tensors]
            raise ValueError(f"layer {number} does not follow the one before: found {shapes}")
        widths.append(weight.shape[0])
    return tuple(widths)


def _layers(tensors: dict[str, Tensor], ordered: bool) -> list[Tensor]:
    """W_1, b_1, W_2, b_2, ... of a fully connected network."""
    prefixes = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    if not ordered:
        prefixes.sort(key=natural)
    layers = []
    for prefix in prefixes:
        names = [f"{prefix}.{kind}" if prefix else kind for kind in ("weight", "bias")]
        if not all(name in tensors for name in names) or tensors[names[0]].ndim != 2 or tensors[names[1]].ndim != 1:
            raise ValueError(f"expected layers with a matrix 'weight' and a vector 'bias', found {_shapes(tensors)}")
        layers += [tensors[name] for name in names]
    if len(layers) != len(tensors):
        raise ValueError(f"expected weights and biases only, found {_shapes(tensors)}")
    return layers


def _load_torch(path: Path) -> Any:
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "not in the zip format of torch 1.6 and later: load and save it with a newer torch, if it is older"
        )
    with zipfile.ZipFile(path) as file:
        if sum(entry.file_size for entry in file.infolist()) > size + SLACK:
            raise ValueError("it claims to hold more than its size")
        if file.testzip() is not None:
            raise ValueError("its checksum is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def _shapes(tensors: dict[str, Tensor]) -> str:
    shown = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:8]]
    return ", ".join(shown) + (", ..." if len(tensors) > 8 else "")


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:200]
