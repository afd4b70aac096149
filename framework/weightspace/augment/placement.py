"""Following where augmentations in the space of inputs move what networks compute."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightspace.batch import WeightBatch


def at_rest(batch: WeightBatch) -> Tensor:
    """(B, d, d + 1) placements of networks that nothing has moved: the identity, and no shift."""
    d = batch.spec.in_dim
    return torch.eye(d, d + 1, dtype=batch.params.dtype, device=batch.device).expand(len(batch), -1, -1)


def moved(placement: Tensor, coordinates: Callable[[Tensor], Tensor]) -> Tensor:
    """Placements of networks that are moved once more.

    A network computes a moved object exactly if its first layer can do it, so that the move is affine: d + 1 points
    determine it.

    Args:
        placement: (B, d, d + 1) of the networks before.
        coordinates: maps (N, d) points to (B, N, d), see ``Augmentation.coordinates``.

    >>> shift = lambda x: x.expand(1, -1, -1) + torch.tensor([[[0.5, 0.0]]])
    >>> moved(torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]]), shift).tolist()  # a turn after a shift
    [[[0.0, -1.0, 0.0], [1.0, 0.0, 0.5]]]
    """
    d = placement.shape[1]
    corners = torch.cat([placement.new_zeros(1, d), torch.eye(d).to(placement)])
    points = coordinates(corners).to(placement)  # (B, d + 1, d)
    shift = points[:, 0].unsqueeze(2)
    matrix = points[:, 1:].mT - shift
    own, offset = placement[:, :, :d], placement[:, :, d:]
    return torch.cat([own @ matrix, own @ shift + offset], dim=2)
