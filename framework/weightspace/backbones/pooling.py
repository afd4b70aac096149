"""Pooling over neurons: ways to forget their order."""

from __future__ import annotations

from torch import Tensor, nn

from weightspace.errors import ConfigError


class Mean(nn.Module):
    """Mean over one dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, dim: int) -> Tensor:
        """(..., C) without the dimension."""
        return x.mean(dim)


class Max(nn.Module):
    """Maximum over one dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()

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


_POOLINGS: dict[str, type[Mean] | type[Max] | type[Attention]] = {"mean": Mean, "max": Max, "attention": Attention}


def pooling(name: str, width: int) -> nn.Module:
    """A module (x, dim) -> x without the dimension.

    Args:
        name: "mean", "max" or "attention" (a learned query).
        width: number of features, the last dimension of x.

    Raises:
        ConfigError: another name.
    """
    if name not in _POOLINGS:
        raise ConfigError(f"pool must be 'mean', 'max' or 'attention', found {name!r}")
    return _POOLINGS[name](width)
