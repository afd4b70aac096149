"""The order of the layers in a file that has none of its own, as those of safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from weightspace.files.names import natural
from weightspace.importing.network_part import NetworkError


def layer_order(prefixes: Sequence[str], tensors: Mapping[str, Tensor]) -> list[str]:
    """The prefixes of a chain of layers, in the order in which each reads what the one before computes.

    Layers whose names differ by their numbers alone are in the order of these. Sizes decide about the others.

    Args:
        prefixes: the layers' names, each once.
        tensors: by name, of which ``prefix.weight`` are the layers' weights.

    Returns:
        The order; the natural one of the names if none fits.

    Raises:
        NetworkError: several orders fit.

    >>> import torch
    >>> sizes = {"head": (1, 8), "layer.10": (8, 8), "layer.2": (8, 3)}
    >>> layer_order(list(sizes), {f"{name}.weight": torch.empty(size) for name, size in sizes.items()})
    ['layer.2', 'layer.10', 'head']
    """
    by_name = sorted(prefixes, key=natural)
    weights = [tensors.get(f"{prefix}.weight" if prefix else "weight") for prefix in by_name]
    matrices = [weight for weight in weights if weight is not None and weight.ndim in (2, 4)]
    if len(matrices) < len(by_name):
        return by_name  # other tensors than a chain has, which is told elsewhere
    found = _orders([re.sub(r"\d+", "0", prefix) for prefix in by_name], matrices, [])
    first, second = next(found, None), next(found, None)
    if first is None:
        return by_name
    if second is not None:
        raise NetworkError(
            f"a file without order, in which the layers {', '.join(by_name)} fit one after the other in several ways: "
            "number their names (as layers.0, layers.1), or save a file of torch"
        )
    return [by_name[place] for place in first]


def _orders(stems: Sequence[str], weights: Sequence[Tensor], begun: list[int]) -> Iterator[list[int]]:
    """All orders of layers that begin so and in which each fits the one before."""
    if len(begun) == len(stems):
        yield begun
    tried: set[str] = set()
    for place, stem in enumerate(stems):
        if place in begun or stem in tried:
            continue
        tried.add(stem)  # the first of its name that is left, since others come after it
        if not begun or _follows(weights[begun[-1]], weights[place]):
            yield from _orders(stems, weights, [*begun, place])


def _follows(before: Tensor, after: Tensor) -> bool:
    """Whether a layer can read what another one computes, also flattened."""
    given, read = before.shape[0], after.shape[1]
    return read == given or (before.ndim == 4 and after.ndim == 2 and read % given == 0)
