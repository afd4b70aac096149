"""Neuron symmetries as pure functions on batches (paper 2402.04081, section 4; definitions in the docs).

Each takes one tensor per hidden layer, so that every network of the batch has its own group element.
Input and output neurons are never touched. A stored alignment (``batch.frame``) is left out of the result, since it is
of other neurons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from weightspace.batch import WeightBatch, pack_layers
from weightspace.errors import SpecError
from weightspace.symmetry.layers import gathered, of_columns, of_rows


def permute_neurons(batch: WeightBatch, orders: Sequence[Tensor]) -> WeightBatch:
    """Reorders hidden neurons: W_l <- P W_l, b_l <- P b_l, W_{l+1} <- W_{l+1} P^T.

    Args:
        batch: B networks, any activation.
        orders: per hidden layer (B, n_l) int64; neuron i of the result is neuron ``orders[l][:, i]``.
            The inverse is ``[o.argsort(1) for o in orders]``.
    """
    weights, biases = _layers(batch, orders)
    networks = torch.arange(len(batch), device=batch.device).unsqueeze(1)
    for layer, order in enumerate(orders):
        following = weights[layer + 1]
        weights[layer] = weights[layer][networks, order]
        biases[layer] = biases[layer].gather(1, order)
        weights[layer + 1] = gathered(following, order)
    return batch.replace(params=pack_layers(weights, biases, batch.spec), frame=None)


def sign_neurons(batch: WeightBatch, signs: Sequence[Tensor]) -> WeightBatch:
    """Negates hidden neurons of odd activations: W_l <- s W_l, b_l <- s b_l, W_{l+1} <- W_{l+1} s.

    Args:
        batch: B sine or tanh networks.
        signs: per hidden layer (B, n_l), entries +1 or -1. Each is its own inverse.

    Raises:
        SpecError: the activation is not odd.
    """
    _require(batch, "sign")
    return _gain(batch, signs, signs)


def scale_neurons(batch: WeightBatch, scales: Sequence[Tensor]) -> WeightBatch:
    """Scales hidden ReLU neurons: W_l <- a W_l, b_l <- a b_l, W_{l+1} <- W_{l+1} / a.

    Args:
        batch: B ReLU networks.
        scales: per hidden layer (B, n_l), entries > 0. The inverse is ``[1 / a for a in scales]``.

    Raises:
        SpecError: the activation is not ReLU.
    """
    _require(batch, "scale")
    return _gain(batch, scales, [1 / scale for scale in scales])


def shift_phases(batch: WeightBatch, multiples: Sequence[Tensor]) -> WeightBatch:
    """Shifts hidden sine neurons: b_l <- b_l + k pi / omega_l, columns of W_{l+1} times (-1)^k.

    Args:
        batch: B sine networks.
        multiples: per hidden layer (B, n_l) integers k (any dtype). The inverse is ``[-k for k in multiples]``.

    Raises:
        SpecError: the activation is not sine.
    """
    _require(batch, "phase")
    weights, biases = _layers(batch, multiples)
    for layer, k in enumerate(multiples):
        k = k.to(batch.params.dtype)
        biases[layer] = biases[layer] + k * (math.pi / batch.spec.omegas[layer])
        weights[layer + 1] = weights[layer + 1] * of_columns(1 - 2 * torch.remainder(k, 2), weights[layer + 1])
    return batch.replace(params=pack_layers(weights, biases, batch.spec), frame=None)


def _gain(batch: WeightBatch, incoming: Sequence[Tensor], outgoing: Sequence[Tensor]) -> WeightBatch:
    weights, biases = _layers(batch, incoming)
    for layer, gains in enumerate(zip(incoming, outgoing, strict=True)):
        gain_in, gain_out = (gain.to(batch.params.dtype) for gain in gains)
        weights[layer] = weights[layer] * of_rows(gain_in, weights[layer])
        biases[layer] = biases[layer] * gain_in
        weights[layer + 1] = weights[layer + 1] * of_columns(gain_out, weights[layer + 1])
    return batch.replace(params=pack_layers(weights, biases, batch.spec), frame=None)


def _layers(batch: WeightBatch, elements: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    expected = [(len(batch), width) for width in batch.spec.widths[1:-1]]
    found = [tuple(e.shape) for e in elements]
    if found != expected:
        raise SpecError(f"expected one element per hidden layer of shapes {expected}, found {found}")
    return list(batch.weights), list(batch.biases)


def _require(batch: WeightBatch, symmetry: str) -> None:
    if symmetry not in batch.spec.symmetries:
        names = "/".join(dict.fromkeys(batch.spec.activations))
        raise SpecError(f"{symmetry!r} is not a symmetry of {names} networks ({batch.spec})")
