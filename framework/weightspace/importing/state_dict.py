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
from weightspace.files.names import natural
from weightspace.files.reading import reading, refused_pickle
from weightspace.importing.listing import Contents
from weightspace.importing.network_part import NetworkError, network_part
from weightspace.spec import NetworkSpec

#: Number of bytes by which the unpacked size of a torch file may exceed its size, since torch does not compress.
SLACK = 1 << 16


def read_state_dict(path: Path, key: str | None = None) -> Contents:
    """Reads a network, and its label if there is one, from a file of torch (zip format) or safetensors.

    Its tensors may be in a nested dictionary, as in a training checkpoint, if no other dictionary contains a network.

    Args:
        path: file whose name ends in .ckpt, .pth, .pt or .safetensors.
        key: location of the network in the file: the name of a dictionary, or a prefix of the names of its tensors, or
            both with a dot between them; ".": the top level of the file.

    Raises:
        ValueError: the file cannot be used; the message is the reason. A pickle that contains anything but tensors and
            plain containers is not run.
    """
    safe = path.suffix.lower() == ".safetensors"
    with reading(_refuse, passed=(NetworkError,)):
        size = require_regular(path)
        data = safetensors.torch.load_file(path) if safe else _load_torch(path, size)
        return contents(data, size, ordered=not safe, key=key)


def _refuse(error: Exception) -> NetworkError:
    if isinstance(error, pickle.UnpicklingError):
        return NetworkError(f"refused: {refused_pickle(error)}")
    if isinstance(error, FileNotFoundError):
        return NetworkError("no such file")
    said = error.strerror if isinstance(error, OSError) else None  # a zoo keeps the reason without the path
    reason = said or f"{type(error).__name__}: {_line(error)}"
    return NetworkError(f"not a readable file ({reason})")


def contents(data: Any, size: int, ordered: bool, key: str | None = None) -> Contents:
    """Finds the layers and the label in the contents of a file.

    Args:
        data: a dictionary of tensors, possibly nested.
        size: size of the file in bytes; no tensor can be larger.
        ordered: whether its keys are in the order of the layers; else they are sorted in natural order.
        key: location of the network, see ``read_state_dict``.

    Raises:
        NetworkError: there are no layers, or the tensors are not those of one network.
    """
    if not isinstance(data, Mapping):
        raise NetworkError(f"expected a state_dict, found {type(data).__name__}")
    label = data.get("label")
    found = network_part({name: value for name, value in data.items() if name != "label"}, key)
    return Contents(_layers({name: _plain(name, tensor, size) for name, tensor in found.items()}, ordered), label)


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


def check_fits(tensors: list[Tensor], spec: NetworkSpec) -> None:
    """Raises ValueError unless these weights and biases are those of a network of this architecture."""
    if not spec.kernels:
        widths = widths_of(tensors)
        if widths != spec.widths:
            raise ValueError(f"another architecture: {'-'.join(map(str, widths))}")
        return
    expected = [shape for weight in spec.torch_shapes for shape in (weight, weight[:1])]
    found = [tuple(tensor.shape) for tensor in tensors]
    if found != expected:
        raise ValueError(f"another architecture: tensors {found}, and {spec} has {expected}")


def widths_of(tensors: list[Tensor]) -> tuple[int, ...]:
    """The layer widths of a fully connected network with these weights and biases.

    Raises:
        ValueError: there is no hidden layer, the shapes of successive layers do not match, or there are convolutions.
    """
    weights, biases = tensors[0::2], tensors[1::2]
    if any(weight.ndim != 2 for weight in weights):
        raise ValueError(
            "it has convolutions, whose strides cannot be read from weights: give spec, a JSON file with their "
            "architecture, for instance json.dump(ws.spec_of(module, images).to_json(), file)"
        )
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
    """Returns W_1, b_1, W_2, b_2, ... of a chain of linear layers and convolutions."""
    prefixes = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    if not ordered:
        prefixes.sort(key=natural)
    layers = []
    for prefix in prefixes:
        names = [f"{prefix}.{kind}" if prefix else kind for kind in ("weight", "bias")]
        if (
            not all(name in tensors for name in names)
            or tensors[names[0]].ndim not in (2, 4)
            or tensors[names[1]].ndim != 1
        ):
            raise NetworkError(
                f"expected layers with a matrix 'weight' and a vector 'bias', found {_shapes(tensors)}{_parts(tensors)}"
            )
        layers += [tensors[name] for name in names]
    if len(layers) != len(tensors):
        raise NetworkError(f"expected weights and biases only, found {_shapes(tensors)}")
    return layers


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


def _parts(tensors: dict[str, Tensor]) -> str:
    """Lists prefixes of the tensors' names as a hint for ``key``."""
    parts = dict.fromkeys(name.partition(".")[0] for name in tensors if name.count(".") > 1)
    return f": choose a part of it by key {' or '.join(parts)}" if len(parts) > 1 else ""


def _shapes(tensors: dict[str, Tensor]) -> str:
    shown = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:8]]
    return ", ".join(shown) + (", ..." if len(tensors) > 8 else "")


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:200]
