"""Descriptions of backbones (class, spec and arguments), as they are saved with the weights."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor


def as_state(description: dict[str, Any]) -> Tensor:
    """Converts a description to the tensor that is saved with the weights."""
    return torch.frombuffer(bytearray(json.dumps(description).encode()), dtype=torch.uint8)


def from_state(state: Tensor) -> dict[str, Any]:
    """Converts a saved tensor to a description."""
    description: dict[str, Any] = json.loads(bytes(state.tolist()))
    return description


def is_description(value: Any) -> bool:
    """Whether an argument's value describes a nested backbone."""
    found = value if isinstance(value, dict) else {}
    return isinstance(found.get("class"), str) and isinstance(found.get("arguments"), dict)
