"""Measures of how well a network represents its object: PSNR and IoU."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.network import decibels


def psnr(outputs: Tensor, values: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each network, over all its points; peak 1.

    Args:
        outputs: (B, N, C) in the scale of ``values``.
        values: (B, N, C) in [0, 1].

    Returns:
        (B,): ``-10 log10(mean squared error)``; infinite if they agree exactly.

    >>> psnr(torch.zeros(1, 4, 1), torch.full((1, 4, 1), 0.1))
    tensor([20.])
    """
    return decibels((outputs - values).square().mean((1, 2)), exact=0.0)


def iou(outputs: Tensor, values: Tensor, uniform: int) -> Tensor:
    """Intersection over union of the solids in which outputs and values exceed one half.

    Args:
        outputs: (B, N, 1) in the scale of ``values``.
        values: (B, N, 1).
        uniform: number of leading points that are spread uniformly in space.

    Returns:
        (B,) in [0, 1]; 1 if both are empty.

    >>> iou(torch.tensor([[[0.9], [0.9], [0.1]]]), torch.tensor([[[0.8], [0.3], [0.2]]]), uniform=3)
    tensor([0.5000])
    """
    found, inside = outputs[:, :uniform] > 0.5, values[:, :uniform] > 0.5
    either = (found | inside).sum((1, 2))
    return torch.where(either > 0, (found & inside).sum((1, 2)) / either.clamp(min=1), 1.0)
