"""Pooling over neurons, invariant to their order."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from weightspace.checks import check_choice


class Mean(nn.Module):
    """Pools features with their mean over one dimension."""

    def forward(self, x: Tensor, dim: int) -> Tensor:
        """(..., C) without the dimension."""
        return x.mean(dim)


class Max(nn.Module):
    """Pools features with their maximum over one dimension."""

    def forward(self, x: Tensor, dim: int) -> Tensor:
        """(..., C) without the dimension."""
        return x.amax(dim)


class Attention(nn.Module):
    """Mean weighted by the softmax of the entries' products with a learned query.

    Args:
        width: number of features C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor, dim: int) -> Tensor:
        """(..., C) without the dimension."""
        return (self.query(x).softmax(dim) * x).sum(dim)


def pooling(name: str, width: int) -> nn.Module:
    """A module (x, dim) -> x without the dimension.

    Args:
        name: "mean", "max" or "attention" (a learned query).
        width: number of features, the last dimension of x.

    Raises:
        ConfigError: another name.
    """
    make: dict[str, Callable[[], nn.Module]] = {"mean": Mean, "max": Max, "attention": lambda: Attention(width)}
    return make[check_choice("pool", name, make)]()
