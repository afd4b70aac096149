"""Batch normalisation, which after training is an affine map of each neuron: part of the layer before it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from weightspace.checks import check_number
from weightspace.errors import SpecError

#: What torch adds to variances, unless told otherwise.
EPS = 1e-5


def folded(network: nn.Module | Mapping[str, Tensor], eps: float = EPS) -> dict[str, Tensor]:
    """The state_dict of a network without batch normalisation that computes what this one does in evaluation.

    Each layer of normalisation, known by its ``running_mean`` and ``running_var``, is taken to follow the layer before
    it in the state_dict directly: W <- gain W, b <- gain (b - mean) + beta with gain = gamma / sqrt(variance + eps). A
    layer without biases is given some. Numbers of parts, as those of a ``Sequential``, must be one after the other;
    whether a module uses its layers in that order otherwise, ``spec_of`` checks.

    Args:
        network: a module, or its state_dict, in the order of the layers.
        eps: what is added to variances; a module's own layers say it themselves.

    Raises:
        SpecError: neither a module nor a state_dict; no layer comes before, one of another size, one that has been
            normalised, or not directly; or a variance is negative.

    >>> module = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    >>> {name: tuple(tensor.shape) for name, tensor in folded(module).items()}
    {'0.weight': (4, 1, 3, 3), '0.bias': (4,)}
    """
    check_number("eps", eps, low=0, error=SpecError)
    if not isinstance(network, nn.Module | Mapping):
        raise SpecError(f"folded takes a module or its state_dict, found {type(network).__name__}")
    state = network.state_dict() if isinstance(network, nn.Module) else network
    own = dict(network.named_modules()) if isinstance(network, nn.Module) else {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        prefix, _, kind = name.rpartition(".")
        parts.setdefault(prefix, {})[kind] = tensor
    layers: dict[str, dict[str, Tensor]] = {}
    last = ""
    for prefix, tensors in parts.items():
        if "running_var" not in tensors:
            layers[prefix] = tensors
        elif not layers:
            raise SpecError(f"{prefix}: there is no layer before this batch normalisation, in which it can be folded")
        elif "running_var" in parts[last]:
            raise SpecError(
                f"{prefix}: two batch normalisations in a row, {last} and this one: which layers they follow is not "
                "known. The state_dict should have each directly after its layer"
            )
        elif _apart(last, prefix):
            raise SpecError(
                f"{prefix}: of the batch normalisations, those directly after a layer can be folded in it, and between "
                f"{last} and this one there is something else, as an activation"
            )
        else:
            before = next(reversed(layers))
            found = getattr(own.get(prefix), "eps", eps)  # also of kinds that are not torch's, as a frozen one
            layers[before] = _folded_layer(before, layers[before], prefix, tensors, found)
        last = prefix
    return {
        f"{prefix}.{kind}" if prefix else kind: tensor
        for prefix, tensors in layers.items()
        for kind, tensor in tensors.items()
    }


def _apart(first: str, second: str) -> bool:
    """Whether two parts of one list, as of a Sequential, are not neighbours in it, by their numbers."""
    (parent, _, one), (other, _, two) = first.rpartition("."), second.rpartition(".")
    return parent == other and one.isdecimal() and two.isdecimal() and int(two) != int(one) + 1


def _folded_layer(
    before: str, layer: dict[str, Tensor], prefix: str, norm: Mapping[str, Tensor], eps: float
) -> dict[str, Tensor]:
    """Weights and biases of a layer with the normalisation that follows it, computed in double precision."""
    mean, variance = (norm[kind].double() if kind in norm else None for kind in ("running_mean", "running_var"))
    weight = layer.get("weight")
    if mean is None or variance is None or weight is None or weight.ndim < 2 or variance.shape != weight.shape[:1]:
        shapes = {kind: tuple(tensor.shape) for kind, tensor in layer.items()}
        raise SpecError(f"{prefix}: this batch normalisation does not fit the layer before it, {before}: {shapes}")
    if bool((variance < 0).any()):
        raise SpecError(f"{prefix}.running_var: a variance is negative: {float(variance.min()):g}")
    gain = (variance + eps).rsqrt()
    if "weight" in norm:
        gain = gain * norm["weight"].double()
    bias = (layer["bias"].double() - mean if "bias" in layer else -mean) * gain
    if "bias" in norm:
        bias = bias + norm["bias"].double()
    scaled = weight.double() * gain.reshape(-1, *[1] * (weight.ndim - 1))
    return {"weight": scaled.to(weight.dtype), "bias": bias.to(weight.dtype)}
