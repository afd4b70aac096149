"""Finding the network in a file, such as a training checkpoint, that contains other data as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

#: Depth to which nested dictionaries are searched.
DEPTH = 3
#: The name of the top level of a file.
TOP = "."


class NetworkError(ValueError):
    """The file of a network cannot be used; the message is the reason."""


def network_part(data: Mapping[Any, Any], key: str | None = None) -> dict[str, Tensor]:
    """The tensors of the only dictionary with a network, which has a tensor named ``weight`` or ``<...>.weight``.

    Args:
        data: contents of a file.
        key: name of a dictionary, with dots if it is nested, or a prefix of the names of the network's tensors, or
            both; ".": the top level of the file.

    Raises:
        NetworkError: there is no such network, or, without ``key``, there are several, which the message lists.
    """
    nodes = dict(_nodes(data))
    networks = [path for path, tensors in nodes.items() if any(n.rpartition(".")[2] == "weight" for n in tensors)]
    if key is not None:
        return _called(nodes, networks, key)
    if len(networks) > 1:
        raise NetworkError(f"holds several networks ({', '.join(networks)}): choose one by key {networks[0]}")
    found = nodes[networks[0]] if networks else max(nodes.values(), key=len, default={})
    if not found:
        raise NetworkError("expected tensors by name, found none")
    return found


def _called(nodes: dict[str, dict[str, Tensor]], networks: list[str], key: str) -> dict[str, Tensor]:
    if nodes.get(key):
        return nodes[key]
    for path, tensors in nodes.items():
        begins = key.removeprefix(f"{path}.")  # in this dictionary, or in the only one
        if begins != key or path == TOP or networks == [path]:
            part = {n.removeprefix(f"{begins}."): t for n, t in tensors.items() if n.startswith(f"{begins}.")}
            if part:
                return part
    raise NetworkError(f"holds nothing called {key!r}, as key asks for; there are {', '.join(nodes) or 'no tensors'}")


def _nodes(data: Mapping[Any, Any], path: str = TOP, depth: int = DEPTH) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yields (path, tensors by name) of every dictionary with tensors."""
    named = {name: value for name, value in data.items() if isinstance(name, str)}
    if tensors := {name: value for name, value in named.items() if isinstance(value, Tensor)}:
        yield path, tensors
    for name, value in named.items():
        if isinstance(value, Mapping) and depth:
            yield from _nodes(value, name if path == TOP else f"{path}.{name}", depth - 1)
