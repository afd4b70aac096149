"""Input-space augmentations: the network computes a moved object (paper 2402.04081, section 4).

Only the first layer is changed. What comes into view from outside -1..1 is what the network happens to compute there,
outside the domain that it was fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch, pack_layers
from weightspace.checks import is_number, require
from weightspace.errors import AugmentationError
from weightspace.spec import NetworkSpec

#: The axis that solids stand upright along.
VERTICAL = (0.0, 0.0, 1.0)


class Rotate(Augmentation):
    """Rotates the object about the origin: W_1 <- W_1 R.

    In 2-D the angle is uniform in +-degrees; in 3-D the axis is uniform on the sphere and the angle uniform in
    +-degrees. "haar" draws uniformly from all rotations (another law: in 3-D the mean angle is 126.5 degrees). The
    corners of a rotated image show what the network does outside its fitted domain.

    Args:
        degrees: largest angle, in 0..180, or "haar".
        p: probability that a network is changed.
        axis: in 3-D, "any", or the one axis of all rotations: "vertical", the third, or three numbers, not all 0.
            "haar" then draws uniformly from all angles.
    """

    exact = "input"
    family = "input space"

    def __init__(self, degrees: float | str = 30.0, p: float = 1.0, axis: str | Sequence[float] = "any") -> None:
        super().__init__(p)
        haar = not isinstance(degrees, str) or degrees == "haar"
        require("Rotate: degrees", degrees, haar, "in 0..180, or 'haar'", AugmentationError)
        self.degrees = degrees if isinstance(degrees, str) else self.in_range("degrees", degrees, 0, 180)
        three = isinstance(axis, list | tuple) and len(axis) == 3 and all(map(is_number, axis)) and any(axis)
        known = three or axis in ("any", "vertical")
        require("Rotate: axis", axis, known, "any, vertical, or three numbers, not all 0", AugmentationError)
        self.axis = axis
        self.fixed = None if axis == "any" else list(VERTICAL if isinstance(axis, str) else map(float, axis))

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless the networks have two or three inputs."""
        super().check(spec, target)
        if spec.in_dim not in (2, 3):
            raise AugmentationError(f"{self.name}: rotates 2-D and 3-D inputs, these networks have {spec.in_dim}")
        if spec.in_dim == 2 and self.fixed is not None:
            raise AugmentationError(f"{self.name}: axis {self.axis} is of 3-D rotations, these networks have 2 inputs")

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """(B, d, d) rotation matrices."""
        kind: dict[str, Any] = {"dtype": batch.params.dtype, "device": batch.device}
        if self.degrees == "haar" and batch.spec.in_dim == 3 and self.fixed is None:
            return haar_rotations_3d(torch.randn(len(batch), 4, generator=generator, **kind))
        turn = 2 * torch.rand(len(batch), generator=generator, **kind) - 1
        angles = turn * math.radians(180 if isinstance(self.degrees, str) else self.degrees)
        if batch.spec.in_dim == 2:
            return rotations_2d(angles)
        if self.fixed is None:
            axes = torch.randn(len(batch), 3, generator=generator, **kind)
        else:
            axes = torch.tensor([self.fixed], **kind).expand(len(batch), 3)
        return rotations_3d(torch.nn.functional.normalize(axes, dim=1), angles)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Multiplies the first layer's weights."""
        return _with_first_layer(batch, batch.weights[0] @ params, batch.biases[0])

    def coordinates(self, x: Tensor, params: Tensor) -> Tensor:
        """Rotates points, R x."""
        return x @ params.transpose(1, 2)


class Translate(Augmentation):
    """Shifts the object: b_1 <- b_1 + W_1 t, with t uniform in +-scale for each coordinate.

    The border that comes into view shows what the network does outside its fitted domain.

    Args:
        scale: largest shift, in 0..2; the objects lie in -1..1.
        p: probability that a network is changed.
    """

    exact = "input"
    family = "input space"

    def __init__(self, scale: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.scale = self.in_range("scale", scale, 0, 2)

    def check(self, spec: NetworkSpec, target: str | None) -> None:
        """Raises AugmentationError unless the first layer has biases."""
        super().check(spec, target)
        if not spec.has_biases[0]:
            raise AugmentationError(f"{self.name}: moves the first layer's biases, which these networks lack: {spec}")

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """Draws (B, d) shifts."""
        return self.scale * _symmetric(batch, generator, batch.spec.in_dim)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Adds W_1 t to the first biases; no other layer changes."""
        moved = torch.baddbmm(batch.biases[0].unsqueeze(2), batch.weights[0], params.unsqueeze(2)).squeeze(2)
        return _with_first_layer(batch, batch.weights[0], moved)

    def coordinates(self, x: Tensor, params: Tensor) -> Tensor:
        """The point x + t."""
        return x + params.unsqueeze(1)


class Scale(Augmentation):
    """Shrinks or enlarges the object about the origin: W_1 <- c W_1, with c uniform in 1 +- scale.

    Above 1 the object becomes smaller, and the border shows what the network does outside its fitted domain.

    Args:
        scale: in 0..1, but not 1.
        p: probability that a network is changed.
    """

    exact = "input"
    family = "input space"

    def __init__(self, scale: float = 0.1, p: float = 1.0) -> None:
        super().__init__(p)
        self.scale = self.in_range("scale", scale, 0, 1, exclude=(1,))

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> Tensor:
        """Draws (B,) factors."""
        return 1 + self.scale * _symmetric(batch, generator, 1).squeeze(1)

    def apply(self, batch: WeightBatch, params: Tensor) -> WeightBatch:
        """Multiplies the first layer's weights."""
        return _with_first_layer(batch, batch.weights[0] * params[:, None, None], batch.biases[0])

    def coordinates(self, x: Tensor, params: Tensor) -> Tensor:
        """Scales points, c x."""
        return x * params[:, None, None]


def _symmetric(batch: WeightBatch, generator: torch.Generator, count: int) -> Tensor:
    """(B, count) uniform in -1..1."""
    kind: dict[str, Any] = {"dtype": batch.params.dtype, "device": batch.device}
    return 2 * torch.rand(len(batch), count, generator=generator, **kind) - 1


def _with_first_layer(batch: WeightBatch, weight: Tensor, bias: Tensor) -> WeightBatch:
    return batch.replace(params=pack_layers([weight, *batch.weights[1:]], [bias, *batch.biases[1:]], batch.spec))


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


def haar_rotations_3d(normal: Tensor) -> Tensor:
    """(B, 3, 3) rotations, uniform over all, from (B, 4) standard normal draws (directions of unit quaternions)."""
    real, imaginary = normal[:, 0], normal[:, 1:]
    angles = 2 * torch.atan2(imaginary.norm(dim=1), real)
    return rotations_3d(torch.nn.functional.normalize(imaginary, dim=1), angles)
