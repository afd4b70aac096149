"""Edits of images: what an edited network should draw instead.

Each takes images (B, C, H, W) with values in [0, 1] and returns images of the same size; the border is continued by
its own values.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from weightspace.checks import check_number, check_whole
from weightspace.errors import ConfigError


def dilation(images: Tensor, size: int = 3) -> Tensor:
    """The largest value in a square around each pixel: what is bright grows.

    Args:
        images: (B, C, H, W).
        size: side of the square in pixels, odd, in 1..99.

    >>> dilation(torch.tensor([[[[0.0, 0.0, 1.0, 0.0]]]])).tolist()
    [[[[0.0, 1.0, 1.0, 1.0]]]]
    """
    _check_odd("dilation: size", size)
    return F.max_pool2d(images, size, stride=1, padding=size // 2)


def erosion(images: Tensor, size: int = 3) -> Tensor:
    """The smallest value in a square around each pixel: what is bright shrinks.

    Args:
        images: (B, C, H, W).
        size: side of the square in pixels, odd, in 1..99.
    """
    _check_odd("erosion: size", size)
    return -F.max_pool2d(-images, size, stride=1, padding=size // 2)


def contrast(images: Tensor, factor: float = 1.5) -> Tensor:
    """Moves all values away from the image's mean brightness, and cuts them off at 0 and 1.

    Args:
        images: (B, C, H, W).
        factor: by which differences to the mean grow, in 0..100; below 1 the contrast falls.
    """
    check_number("contrast: factor", factor, low=0, high=100)
    mean = images.mean((1, 2, 3), keepdim=True)
    return (mean + factor * (images - mean)).clamp(0, 1)


def blur(images: Tensor, sigma: float = 1.0) -> Tensor:
    """The mean around each pixel, weighted by a normal distribution, cut off at three deviations.

    Args:
        images: (B, C, H, W).
        sigma: standard deviation in pixels, > 0, up to 30.
    """
    check_number("blur: sigma", sigma, above=0, high=30)
    reach = int(3 * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.softmax(-0.5 * (offsets / sigma).square(), 0)
    channels = images.shape[1]
    column = weights.view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, column, groups=channels), column.mT, groups=channels)


def sharpen(images: Tensor, amount: float = 1.0, sigma: float = 1.0) -> Tensor:
    """Adds to each pixel what a blur would take from it, and cuts off at 0 and 1 (an unsharp mask).

    Args:
        images: (B, C, H, W).
        amount: of the difference, in 0..100.
        sigma: standard deviation of the blur in pixels, > 0, up to 30.
    """
    check_number("sharpen: amount", amount, low=0, high=100)
    return (images + amount * (images - blur(images, sigma))).clamp(0, 1)


def _check_odd(name: str, size: int) -> None:
    check_whole(name, size, low=1, high=99)
    if size % 2 == 0:
        raise ConfigError(f"{name} should be odd, so that the square has a middle, found {size}")
