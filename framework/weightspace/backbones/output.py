"""What a backbone returns: a vector, or numbers for all parameters of its networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weightspace.batch import pack_layers
from weightspace.checks import check_choice
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec

OUTPUTS = ("vector", "weights")


def gives_weights(name: str, output: str, spec: NetworkSpec, out_dim: int) -> bool:
    """Whether ``output`` is "weights", not "vector".

    Args:
        name: of the backbone, for messages.
        output: the choice.
        spec: architecture of the networks.
        out_dim: length of the result.

    Raises:
        ConfigError: another choice, or weights of another number than the networks have.

    >>> gives_weights("DWS", "weights", NetworkSpec((2, 3, 1)), 13)
    True
    """
    check_choice(f"{name}: output", output, OUTPUTS)
    if output == "weights" and out_dim != spec.num_params:
        raise ConfigError(
            f"{name}: output 'weights' of networks {spec} has {spec.num_params} numbers, found out_dim {out_dim}"
        )
    return output == "weights"


def packed(weights: Sequence[Tensor], biases: Sequence[Tensor], spec: NetworkSpec) -> Tensor:
    """(B, P) numbers for all parameters, as ``pack_layers``.

    Biases that the networks lack are left out; what computes them gets a gradient of zeros, since processes that train
    together wait for a gradient of each parameter.

    Args:
        weights, biases: numbers for each layer's.
        spec: architecture of the networks.
    """
    result = pack_layers(weights, biases, spec)
    lacking = [bias for bias, has in zip(biases, spec.has_biases, strict=True) if not has]
    return result + 0 * torch.cat(lacking, dim=1).sum(1, keepdim=True) if lacking else result
