"""Checking that a module has all its shapes before its first batch."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy

from weightspace.errors import ConfigError


def check_initialised(module: nn.Module, title: str) -> None:
    """Raises ConfigError if parameters or buffers have no shape yet, as those of ``nn.LazyLinear``.

    Optimisers, checkpoints and distributed training need the shapes before the first batch.

    Args:
        module: with all its submodules.
        title: name of the module in the message.
    """
    tensors = (*module.named_parameters(), *module.named_buffers())
    if lazy := [name for name, tensor in tensors if is_lazy(tensor)]:
        more = f" and {len(lazy) - 3} more" if len(lazy) > 3 else ""
        raise ConfigError(
            f"{title}: {', '.join(lazy[:3])}{more} have no shape before a first batch: lazy modules cannot be trained "
            "here; spec and out_dim give the sizes, use for instance nn.Linear instead of nn.LazyLinear"
        )
