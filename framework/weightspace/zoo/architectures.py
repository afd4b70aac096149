"""Comparing architectures apart from the widths of their hidden layers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from weightspace.spec import NetworkSpec

_OTHERS = tuple(field.name for field in fields(NetworkSpec) if field.name != "widths")


def alike(first: NetworkSpec, second: NetworkSpec) -> bool:
    """Whether two architectures differ at most in the widths of their hidden layers.

    >>> alike(NetworkSpec((2, 8, 1)), NetworkSpec((2, 32, 1))), alike(NetworkSpec((2, 8, 1)), NetworkSpec((2, 8, 3)))
    (True, False)
    """
    if len(first.widths) != len(second.widths):
        return False
    if first.in_dim != second.in_dim or first.out_dim != second.out_dim:
        return False
    return all(getattr(first, name) == getattr(second, name) for name in _OTHERS)


def differences(first: NetworkSpec, second: NetworkSpec) -> list[str]:
    """What differs between two architectures besides the widths of their hidden layers; empty: they are ``alike``.

    >>> differences(NetworkSpec((2, 8, 1), "tanh"), NetworkSpec((2, 32, 3), "relu"))
    ['outputs 1 and 3', 'activation tanh and relu']
    """
    if bool(first.kernels) != bool(second.kernels):
        kinds = ("with convolutions" if spec.kernels else "fully connected" for spec in (first, second))
        return [" and ".join(kinds)]
    if first.num_layers != second.num_layers:
        return [f"{first.num_layers} and {second.num_layers} layers"]
    ends = {"inputs": (first.in_dim, second.in_dim), "outputs": (first.out_dim, second.out_dim)}
    values = {**ends, **{name: (getattr(first, name), getattr(second, name)) for name in _OTHERS}}
    if first.activation != second.activation:
        values.pop("omega")  # follows from it
    return [f"{name} {_text(one)} and {_text(other)}" for name, (one, other) in values.items() if one != other]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
