"""The activations that networks can have: what each computes, its slope, and the symmetries that it gives neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """An activation f, elementwise; hidden layers compute f(omega * (W x + b)).

    Args:
        function: z -> f(z).
        with_slope: z -> (f(z), f'(z)), for hand-written gradients.
        symmetries: those that f adds to the permutation of hidden neurons: "sign" (f(-z) = -f(z)),
            "phase" (f(z + pi) = -f(z)), "scale" (f(c z) = c f(z) for c > 0).
        has_frequency: whether omega may be other than 1.
    """

    function: Callable[[Tensor], Tensor]
    with_slope: Callable[[Tensor], tuple[Tensor, Tensor]]
    symmetries: frozenset[str]
    has_frequency: bool = False

    def __call__(self, z: Tensor, omega: float = 1.0) -> Tensor:
        """f(omega * z)."""
        return self.function(omega * z if self.has_frequency else z)


#: All activations by the name that specs, recipes and zoos have for them. One more is one more entry.
ACTIVATIONS = {
    "sine": Activation(
        torch.sin,
        lambda z: (torch.sin(z), torch.cos(z)),
        symmetries=frozenset({"sign", "phase"}),
        has_frequency=True,
    ),
    "tanh": Activation(
        torch.tanh,
        lambda z: (h := torch.tanh(z), 1 - h * h),
        symmetries=frozenset({"sign"}),
    ),
    "relu": Activation(
        torch.relu,
        lambda z: (torch.relu(z), (z > 0).to(z.dtype)),
        symmetries=frozenset({"scale"}),
    ),
}


def activations_with(symmetry: str) -> frozenset[str]:
    """Names of the activations that have a symmetry.

    >>> sorted(activations_with("sign"))
    ['sine', 'tanh']
    """
    return frozenset(name for name, activation in ACTIVATIONS.items() if symmetry in activation.symmetries)
