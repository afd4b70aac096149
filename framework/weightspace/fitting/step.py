"""One training step of many networks at once, with hand-written gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightspace.activations import ACTIVATIONS
from weightspace.batch import WeightBatch, pack_layers
from weightspace.fitting.recipes import Recipe
from weightspace.fitting.sincos import sincos
from weightspace.spec import NetworkSpec

#: (state, coordinates (d, N) or (B, d, N), values (B, C, N), numbers of the step (layers + 1,)) -> None, in place.
#: Coordinates and values are lists of equally large tiles of the N points. The numbers are rate / (1 - beta1^t) of each
#: layer, and 1 / sqrt(1 - beta2^t).
Step = Callable[["FitState", list[Tensor], list[Tensor], Tensor], None]
#: Replacements for an activation's function with slope in compiled steps, which a compiler fuses better.
FUSED = {"sine": sincos}


@dataclass
class FitState:
    """The tensors that a step changes: per layer W (B, out, in) and b (B, out, 1), Adam's moments, active networks."""

    params: list[Tensor]
    first_moments: list[Tensor]
    second_moments: list[Tensor]
    active: Tensor  # (B, 1, 1): 1.0, or 0.0 once a network has reached the recipe's PSNR
    loss: Tensor  # (B,) of the last step, before its update

    @classmethod
    def start(cls, batch: WeightBatch) -> FitState:
        """The state before the first step, from the initial weights."""
        params = []
        for weight, bias in zip(batch.weights, batch.biases, strict=True):
            params += [weight.clone(memory_format=torch.contiguous_format), bias.unsqueeze(2).clone()]
        count = len(batch)
        active = torch.ones(count, 1, 1, device=batch.device)
        zeros = [torch.zeros_like(p) for p in params]
        return cls(
            params, zeros, [z.clone() for z in zeros], active, torch.full((count,), torch.inf, device=batch.device)
        )

    def packed(self) -> Tensor:
        """Returns the parameters as (B, P) vectors."""
        return pack_layers(self.params[0::2], [bias.squeeze(2) for bias in self.params[1::2]])


def make_step(recipe: Recipe, spec: NetworkSpec, compiled: bool, tiles: int = 1) -> Step:
    """Builds the training step of a recipe: one update of Adam on the mean squared error over all points.

    Activations are (B, width, points of a tile), so that a layer is one batched product W h and biases broadcast over
    points. The gradients of the tiles are added up before the update.

    Args:
        recipe: optimiser constants and the PSNR at which a network stops.
        spec: activation, frequencies and output offset.
        compiled: build it with ``torch.compile`` (static shapes); sine and cosine then share one argument reduction.
        tiles: into how many tiles the points of a step are divided.
    """
    (name,) = set(spec.activations)
    activate = ACTIVATIONS[name].with_slope
    if compiled:
        activate = FUSED.get(name, activate)
    beta1, beta2 = recipe.betas
    low, high = recipe.value_range
    stop_loss = 0.0 if recipe.stop_psnr is None else (high - low) ** 2 * 10 ** (-recipe.stop_psnr / 10)

    def gradients(params: list[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
        """The loss (B,) and the gradients of all parameters, as far as these points contribute to them."""
        weights, biases = params[0::2], params[1::2]
        inputs, slopes = [x.expand(len(y), -1, -1)], []
        for weight, bias, omega in zip(weights, biases, spec.omegas, strict=False):
            h, slope = activate(omega * (torch.bmm(weight, inputs[-1]) + bias))
            inputs.append(h)
            slopes.append(omega * slope)
        error = torch.bmm(weights[-1], inputs[-1]) + biases[-1] + (spec.output_offset - y)
        delta = error * (2 / (y.shape[1] * y.shape[2] * tiles))
        grads: list[Tensor] = []
        for layer in reversed(range(len(weights))):
            grads = [torch.bmm(delta, inputs[layer].transpose(1, 2)), delta.sum(2, keepdim=True), *grads]
            if layer:
                delta = torch.bmm(weights[layer].transpose(1, 2), delta) * slopes[layer - 1]
        return [(error * error).mean((1, 2)) / tiles, *grads]

    def update(params: list[Tensor], m: list[Tensor], v: list[Tensor], active: Tensor, loss: Tensor,
               new_loss: Tensor, grads: list[Tensor], rates: Tensor) -> None:  # fmt: skip
        loss.copy_(new_loss)
        active.mul_((new_loss > stop_loss).to(active.dtype).reshape(-1, 1, 1))
        for i, (p, m1, m2, g) in enumerate(zip(params, m, v, grads, strict=True)):
            m1.mul_(beta1).add_(g, alpha=1 - beta1)
            m2.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            p.sub_(active * rates[i // 2] * m1 / (m2.sqrt() * rates[-1] + recipe.epsilon))

    if compiled:
        gradients = torch.compile(gradients, dynamic=False)
        update = torch.compile(update, dynamic=False)

    def step(state: FitState, xs: list[Tensor], ys: list[Tensor], rates: Tensor) -> None:
        sums = gradients(state.params, xs[0], ys[0])
        for x, y in zip(xs[1:], ys[1:], strict=True):
            torch._foreach_add_(sums, gradients(state.params, x, y))
        new_loss, *grads = sums
        update(
            state.params, state.first_moments, state.second_moments, state.active, state.loss, new_loss, grads, rates
        )

    return step
