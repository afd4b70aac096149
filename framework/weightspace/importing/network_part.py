"""Where in a file a network is: training checkpoints hold much else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

#: How deep dictionaries are looked into.
DEPTH = 3
#: The name of what lies in the file directly.
TOP = "."


class NetworkError(ValueError):
    """What is wrong with one network's file."""


def network_part(data: Mapping[Any, Any], key: str | None = None) -> dict[str, Tensor]:
    """The tensors of the one dictionary that holds a network: one of them is called ``weight``, or ``<...>.weight``.

    Args:
        data: what a file holds.
        key: the name of a dictionary, with dots where it lies in others, or what the names of the network's tensors
            begin with, or both; ".": the file itself.

    Raises:
        NetworkError: there is none, or none of this name; without ``key``: there are several, all named.
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
        begins = key.removeprefix(f"{path}.")  # below a dictionary; or in the only one there is
        if begins != key or path == TOP or networks == [path]:
            part = {n.removeprefix(f"{begins}."): t for n, t in tensors.items() if n.startswith(f"{begins}.")}
            if part:
                return part
    raise NetworkError(f"holds nothing called {key!r}, as key asks for; there are {', '.join(nodes) or 'no tensors'}")


def _nodes(data: Mapping[Any, Any], path: str = TOP, depth: int = DEPTH) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(path, tensors by name) of every dictionary with tensors."""
    named = {name: value for name, value in data.items() if isinstance(name, str)}
    if tensors := {name: value for name, value in named.items() if isinstance(value, Tensor)}:
        yield path, tensors
    for name, value in named.items():
        if isinstance(value, Mapping) and depth:
            yield from _nodes(value, name if path == TOP else f"{path}.{name}", depth - 1)
