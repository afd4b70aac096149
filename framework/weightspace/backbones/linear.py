"""Linear layers of many rows of few features, on a processor as 1x1 convolutions.

torch computes the two with different libraries there: products with MKL, convolutions with oneDNN, which was up
to 2.4 times as fast on the one machine that was measured, an AMD EPYC (benchmarks/README.md). Images whose channels
come last lie in memory like rows of features, so nothing is copied.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.backends import mkldnn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

#: With one thread, torch gives 1x1 convolutions to oneDNN from this number of images.
IMAGES = 16
#: A convolution has the higher fixed cost: fewer rows stay a product.
ROWS = 1024
_ONEDNN = mkldnn.is_available()


class Linear(nn.Linear):
    """``nn.Linear`` by ``linear``: the same parameters, the same result up to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., K) to (..., N)."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes x weight^T + bias, as ``torch.nn.functional.linear`` does.

    Args:
        x: (..., K).
        weight: (N, K).
        bias: (N).

    Returns:
        (..., N).
    """
    if not _by_convolution(x):
        return F.linear(x, weight, bias)
    images = _images(x)
    if torch.compiler.is_compiling():
        result = _Convolution.apply(images.contiguous(), weight)
        result = result if bias is None else result + bias
    else:
        result = F.conv2d(images.permute(0, 3, 1, 2), weight[:, :, None, None], bias).permute(0, 2, 3, 1)
    return result.reshape(*x.shape[:-1], len(weight))


def linear_gradients(x: Tensor, weight: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and of weight, from that of ``linear(x, weight)``, for gradients that are written by hand.

    Args:
        x: (..., K).
        weight: (N, K).
        given: (..., N).
    """
    of_x = linear(given, weight.t())
    if not _by_convolution(x):
        return of_x, given.flatten(0, -2).t() @ x.flatten(0, -2)
    images, of_result = (_channels_first(_images(tensor).contiguous()) for tensor in (x, given))
    return of_x, conv2d_weight(images, (*weight.shape, 1, 1), of_result)[:, :, 0, 0]


def _images(x: Tensor) -> Tensor:
    """Views (..., K) as at least ``IMAGES`` images (B, n, m, K), if there are as many."""
    return x if x.ndim == 4 and len(x) >= IMAGES else x.flatten(0, -3).unsqueeze(1)


def _by_convolution(x: Tensor) -> bool:
    """Whether oneDNN convolves x. On a GPU convolutions round to TF32 by default, where products do not."""
    if not (_ONEDNN and x.device.type == "cpu" and x.dtype is torch.float32 and x.ndim in (3, 4)):
        return False
    if torch.is_autocast_enabled("cpu"):  # not all processors have convolutions of float16
        return False
    return math.prod(x.shape[:-2]) >= IMAGES and math.prod(x.shape[:-1]) >= ROWS


class _Convolution(torch.autograd.Function):
    """The same in a compiled graph, with gradients that need no copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Maps contiguous (B, n, m, K) to (B, n, m, N)."""
        ctx.save_for_backward(x, weight)
        return F.conv2d(_channels_first(x), weight[:, :, None, None]).permute(0, 2, 3, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of x and of weight."""
        x, weight = ctx.saved_tensors
        of_result = _channels_first(gradient.contiguous())
        of_x = F.conv2d(of_result, weight.t()[:, :, None, None]).permute(0, 2, 3, 1)
        of_weight = conv2d_weight(_channels_first(x), (*weight.shape, 1, 1), of_result)
        return of_x, of_weight[:, :, 0, 0]


def _channels_first(x: Tensor) -> Tensor:
    """Views (B, n, m, C) as (B, C, n, m)."""
    return x.permute(0, 3, 1, 2)
