"""Choosing the device of a process."""

from __future__ import annotations

import torch

from weightspace.distributed.collectives import rank, world_size
from weightspace.errors import ConfigError


def choose_device(device: str) -> str:
    """The device of this process; for "cuda" with several processes, each gets a GPU of its own.

    Raises:
        ConfigError: the device cannot be used on this machine.
    """
    if device == "cuda" and world_size() > 1:
        device = f"cuda:{rank() % max(1, torch.cuda.device_count())}"
    try:
        torch.zeros(1, device=device).cpu()  # "meta", which has no storage, fails here
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device
