"""What symmetries do to the weights of one layer, with a kernel or without: they never touch its positions."""

from __future__ import annotations

from torch import Tensor


def of_rows(values: Tensor, weight: Tensor) -> Tensor:
    """Views (B, out), one number for each row of weights (B, out, in) or (B, out, in, k), so that it broadcasts."""
    return values.unsqueeze(2) if weight.ndim == 3 else values[:, :, None, None]


def of_columns(values: Tensor, weight: Tensor) -> Tensor:
    """Views (B, in), one number for each column of weights (B, out, in) or (B, out, in, k), so that it broadcasts."""
    return values.unsqueeze(1) if weight.ndim == 3 else values[:, None, :, None]


def gathered(weight: Tensor, order: Tensor) -> Tensor:
    """Weights (B, out, in) or (B, out, in, k) whose column i is the old column ``order[:, i]``, (B, in) int64."""
    index = order.unsqueeze(1)
    if weight.ndim == 3:
        return weight.gather(2, index.expand(-1, weight.shape[1], -1))
    return weight.gather(2, index.unsqueeze(3).expand(-1, weight.shape[1], -1, weight.shape[3]))


def incoming(weight: Tensor) -> Tensor:
    """(B, out, in * k): what comes into each neuron."""
    return weight if weight.ndim == 3 else weight.flatten(2)


def outgoing(weight: Tensor) -> Tensor:
    """(B, in, out * k): what goes out of each neuron of the layer before."""
    return weight.transpose(1, 2) if weight.ndim == 3 else weight.transpose(1, 2).flatten(2)
