"""The best linear filter of pictures: what an edit is compared with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Side of the square around a pixel that the filter sees.
SIDE = 5
#: Pixels whose squares are in memory at a time.
AT_A_TIME = 200_000


def fit_filter(pictures: Tensor, targets: Tensor, side: int = SIDE) -> Tensor:
    """The filter that brings pictures closest to their targets in the mean square, by linear least squares.

    Args:
        pictures, targets: (B, C, H, W).
        side: odd side of the square that each pixel of the result is computed from, in all channels.

    Returns:
        (C, C * side * side + 1) in the dtype of the pictures: weights of the square's values, and a constant.
    """
    channels, seen = targets.shape[1], pictures.shape[1] * side * side + 1
    gram = pictures.new_zeros(seen, seen, dtype=torch.float64)
    product = pictures.new_zeros(seen, channels, dtype=torch.float64)
    for part, goal in zip(*(x.split(_count(x)) for x in (pictures, targets)), strict=True):
        squares = _squares(part, side).double()  # (b, seen, N)
        gram += torch.einsum("bin,bjn->ij", squares, squares)
        product += torch.einsum("bin,bcn->ic", squares, goal.flatten(2).double())
    # a driver that copes with pixels that are always dark
    solution = torch.linalg.lstsq(gram.cpu(), product.cpu(), driver="gelsd").solution
    return solution.mT.to(pictures).contiguous()


def filtered(pictures: Tensor, weights: Tensor, side: int = SIDE) -> Tensor:
    """Applies a filter of ``fit_filter``.

    Args:
        pictures: (B, C, H, W).
        weights: (C, C * side * side + 1).
        side: as it was fitted.

    Returns:
        (B, C, H, W).
    """
    kernel = weights[:, :-1].unflatten(1, (-1, side, side))
    return F.conv2d(_padded(pictures, side), kernel, weights[:, -1])


def _count(pictures: Tensor) -> int:
    return max(1, AT_A_TIME // pictures[0, 0].numel())


def _padded(pictures: Tensor, side: int) -> Tensor:
    return F.pad(pictures, (side // 2,) * 4, mode="replicate")


def _squares(pictures: Tensor, side: int) -> Tensor:
    """(B, C * side * side + 1, H * W): the squares around all pixels, and a one."""
    squares = F.unfold(_padded(pictures, side), side)
    return torch.cat([squares, torch.ones_like(squares[:, :1])], dim=1)
