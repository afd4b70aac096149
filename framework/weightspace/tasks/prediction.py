"""What a task predicts of a batch: a table, so that commands can write it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from weightspace.errors import ConfigError

KINDS = ("probability", "prediction")
EXPECTED = (
    'a dict of tensors with "object" (B,), "view" (B,) and "probability" (B, K) of the classes or "prediction" (B, T)'
)


def check_prediction(returned: Any, task: str, names: int) -> str:
    """Which of ``KINDS`` a ``predict_step`` has returned.

    Args:
        returned: of one batch.
        task: the task's name, for messages.
        names: how many classes or numbers the target has.

    Raises:
        ConfigError: it is not what predictions are.

    >>> import torch
    >>> one = torch.zeros(1)
    >>> check_prediction({"object": one, "view": one, "probability": torch.ones(1, 3) / 3}, "MyTask", names=3)
    'probability'
    """
    kinds = [kind for kind in KINDS if isinstance(returned, dict) and kind in returned]
    tensors = [returned.get(name) for name in ("object", "view", *kinds)] if kinds else []
    if len(kinds) != 1 or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise ConfigError(f"{task}.predict_step should return {EXPECTED}, found {_described(returned)}")
    *identity, result = tensors
    shape = (len(result), names)
    if tuple(result.shape) != shape or any(tuple(one.shape) != shape[:1] for one in identity):
        raise ConfigError(
            f"{task}.predict_step should return {EXPECTED}, with {names} columns, found {_described(returned)}"
        )
    return kinds[0]


def _described(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, dict):
        return f"a dict with {', '.join(f'{name} ({_described(item)})' for name, item in value.items()) or 'nothing'}"
    return f"{type(value).__name__}"
