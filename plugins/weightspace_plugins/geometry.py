"""Input-space augmentations: the network computes a moved object (paper 2402.04081, section 4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, pack_layers
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec


class Rotate(Augmentation):
    """Rotates the object about the origin: W_1 <- W_1 R.

    In 2-D the angle is uniform in +-degrees; in 3-D the axis is uniform on the sphere and the angle uniform in
    +-degrees. The corners of a rotated image show what the network does outside its fitted domain.

    Args:
        degrees: largest angle, in 0..180.
        p: probability that a network is changed.
    """

    exact = "input"

    def __init__(self, degrees: float = 30.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.degrees = self.in_range("degrees", degrees, 0, 180)

    def check(self, spec: NetworkSpec, has_targets: bool) -> None:
        """Needs two or three coordinates."""
        super().check(spec, has_targets)
        if spec.in_dim not in (2, 3):
            raise AugmentationError(f"{self.name}: rotates 2-D and 3-D inputs, these networks have {spec.in_dim}")

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(B, d, d) rotation matrices."""
        kind = {"dtype": batch.params.dtype, "device": batch.device}
        turn = 2 * torch.rand(len(batch), generator=generator, **kind) - 1
        angles = turn * math.radians(self.degrees)
        if batch.spec.in_dim == 2:
            return rotations_2d(angles)
        axes = torch.randn(len(batch), 3, generator=generator, **kind)
        return rotations_3d(torch.nn.functional.normalize(axes, dim=1), angles)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Multiplies the first layer's weights."""
        weights = list(batch.weights)
        weights[0] = weights[0] @ params
        return batch.replace(params=pack_layers(weights, list(batch.biases)))

    def coordinates(self, x: Tensor, params: Tensor) -> Tensor:
        """R x."""
        return x @ params.transpose(1, 2)


def rotations_2d(angles: Tensor) -> Tensor:
    """(B, 2, 2) rotation matrices by (B,) angles in radians."""
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).reshape(-1, 2, 2)


def rotations_3d(axes: Tensor, angles: Tensor) -> Tensor:
    """(B, 3, 3) rotation matrices about (B, 3) unit axes by (B,) angles in radians (Rodrigues' formula)."""
    x, y, z = axes.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).reshape(-1, 3, 3)
    identity = torch.eye(3, dtype=axes.dtype, device=axes.device)
    sin, cos = angles.sin()[:, None, None], angles.cos()[:, None, None]
    return identity + sin * cross + (1 - cos) * (cross @ cross)
