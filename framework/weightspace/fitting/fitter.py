"""Fitting many networks to many objects at once."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import RecipeError
from weightspace.files.cache import keep_compiled_code
from weightspace.fitting.base import Fitted, Fitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.quality import iou, psnr
from weightspace.fitting.recipes import FIELDS, Recipe
from weightspace.fitting.step import FitState, Step, make_step
from weightspace.network import decode
from weightspace.sources.base import Objects, Source
from weightspace.spec import NetworkSpec

#: Largest size in bytes of a block's widest activation, so that it stays in the second-level cache.
BLOCK_BYTES = 1_600_000
#: The same for other devices, of whose memory a step needs about ten activations.
DEVICE_BLOCK_BYTES = 128_000_000
#: Number of steps after which it is checked whether all networks of a block have stopped.
CHECK_EVERY = 50


def block_size(spec: NetworkSpec, points: int, device: str = "cpu") -> int:
    """Number of networks fitted together: a power of two, on a CPU in 8..64, so that activations fit the cache.

    On other devices, where a small block takes as long as its kernels need to start, it is in 8..256.
    """
    size, most = (BLOCK_BYTES, 6) if device == "cpu" else (DEVICE_BLOCK_BYTES, 8)
    room = size / (4 * points * max(spec.widths))
    return 2 ** min(most, max(3, round(math.log2(room))))


def tile_count(spec: NetworkSpec, points: int, block: int, device: str = "cpu") -> int:
    """Number of equal tiles of the points of a step, so that a block's activations of one tile fit the cache.

    The next divisor of the points from there; 1 if there is none up to twice as many.
    """
    size = BLOCK_BYTES if device == "cpu" else DEVICE_BLOCK_BYTES
    least = max(1, round(4 * block * points * max(spec.widths) / size))
    return next((count for count in range(least, 2 * least + 1) if points % count == 0), 1)


class BatchedFitter(Fitter):
    """Fits blocks of networks with one recipe.

    Every block has the same shape (the last one is padded), so a network's bits depend only on its own seed and object,
    not on the networks with which it is fitted or on how a job was divided.

    Args:
        recipe: how to fit.
        spec: architecture of the networks.
        coordinates: (N, d) points that all objects share; or (1, N, d) points of any object if each object has its own,
            which are then passed to ``fit``.
        mode: "compiled" or "eager".
        device: device on which networks are fitted.
        uniform: for solids, the number of leading points that measure volumes, see ``Source``; 0: no solids.

    Raises:
        RecipeError: the recipe's points per step do not divide the N points.
    """

    recipe_fields = FIELDS

    def __init__(
        self,
        recipe: Recipe,
        spec: NetworkSpec,
        coordinates: Tensor,
        mode: str,
        device: torch.device | str = "cpu",
        uniform: int = 0,
    ) -> None:
        super().__init__(recipe, spec, mode, device)
        self.uniform = uniform
        self.quality = ["psnr", "iou"] if uniform else ["psnr"]
        self.coordinates = coordinates
        total = coordinates.shape[-2]
        self.points = recipe.points_per_step or total
        if total % self.points:
            raise RecipeError(f"recipe {recipe.name!r}: points_per_step {self.points} does not divide {total} points")
        self.block = block_size(spec, self.points, self.device.type)
        self.tiles = tile_count(spec, self.points, self.block, self.device.type)
        self._step: Step = make_step(recipe, spec, compiled=mode == "compiled", tiles=self.tiles)

    def compile(self) -> None:
        """Compiles the training step in mode "compiled" by running it once, which also shows whether a compiler works.

        Raises:
            RecipeError: there is no working compiler.
        """
        if self.mode != "compiled" or self.compile_seconds is not None:
            return
        start = time.perf_counter()
        keep_compiled_code()
        state = self._state(torch.zeros(1, self.spec.num_params))
        total = self.coordinates.shape[-2]
        ys = self._chunks(torch.zeros(self.block, total, self.spec.out_dim))[0]
        xs = self._inputs(self.coordinates)[0]
        try:
            self._step(state, xs, ys, torch.ones(self.spec.num_layers + 1, device=self.device))
        except Exception as error:  # a compiler fails in many ways; all of them mean the same here
            reason = str(error).strip().splitlines()
            needed = "a C++ compiler" if self.device.type == "cpu" else "triton, a C compiler"
            raise RecipeError(
                f"there is no working compiler ({type(error).__name__}: {reason[0] if reason else ''}): "
                f"install {needed} and Python's headers, or fit in mode 'eager'"
            ) from error
        self.compile_seconds = time.perf_counter() - start

    def fit(self, initial: Tensor, values: Tensor, coordinates: Tensor | None = None) -> Fitted:
        """Fits one block of networks.

        Args:
            initial: (n, P) initial parameters, n up to ``block``.
            values: (n, N, C) values of the objects in [0, 1].
            coordinates: (n, N, d) points if each object has its own.
        """
        coordinates = self.coordinates if coordinates is None else coordinates
        low, high = self.recipe.value_range
        state = self._state(initial)
        ys = self._chunks(self._filled(low + (high - low) * values))
        xs = self._inputs(coordinates)
        for t, rates in enumerate(self._rates()):
            self._step(state, xs[t % len(xs)], ys[t % len(ys)], rates)
            if t % CHECK_EVERY == CHECK_EVERY - 1 and not state.active.any():
                break  # every network has reached the recipe's PSNR: further steps change nothing
        params = state.packed()[: len(initial)].cpu()
        outputs = decode(WeightBatch(params, self.spec), coordinates, self.recipe.value_range)
        quality = [psnr(outputs, values)] + ([iou(outputs, values, self.uniform)] if self.uniform else [])
        return Fitted(params, torch.stack(quality, dim=1))

    def fit_objects(self, source: Objects, networks: list[tuple[int, int, int]], seed: int) -> Fitted:
        """Fits one block of (object, view, attempt) to a source's objects."""
        assert isinstance(source, Source)
        objects = torch.tensor([item for item, _, _ in networks])
        points, values = source.observations(objects)
        initial = initialise(self.recipe, self.spec, seed, networks)
        fits = self.fit(initial, values, points if points.ndim == 3 else None)
        return replace(fits, targets=torch.from_numpy(source.targets[objects.numpy()]))

    def _rates(self) -> Tensor:
        """(steps, layers + 1) numbers of each step, see ``Step``."""
        beta1, beta2 = self.recipe.betas
        layers = range(self.spec.num_layers)
        rows = [
            (
                *(self.recipe.rate(t, layer) / (1 - beta1 ** (t + 1)) for layer in layers),
                1 / math.sqrt(1 - beta2 ** (t + 1)),
            )
            for t in range(self.recipe.steps)
        ]
        return torch.tensor(rows, device=self.device)

    def _state(self, initial: Tensor) -> FitState:
        filled = torch.zeros(self.block, self.spec.num_params)
        filled[: len(initial)] = initial
        return FitState.start(WeightBatch(filled.to(self.device), self.spec))

    def _filled(self, rows: Tensor) -> Tensor:
        """Pads (n, N, C) with zeros to (block, N, C)."""
        filled = torch.zeros(self.block, *rows.shape[1:])
        filled[: len(rows)] = rows
        return filled

    def _inputs(self, coordinates: Tensor) -> list[list[Tensor]]:
        """Splits the points, shared or of each object, into chunks of tiles."""
        return self._chunks(coordinates if coordinates.ndim == 2 else self._filled(coordinates))

    def _chunks(self, values: Tensor) -> list[list[Tensor]]:
        """Splits (..., N, C) into strided chunks, which steps use in turn, of tiles (..., C, points) on the device."""
        count, tile = values.shape[-2] // self.points, self.points // self.tiles
        chunks = [values[..., first::count, :].mT.to(self.device) for first in range(count)]
        return [[part.contiguous() for part in chunk.split(tile, dim=-1)] for chunk in chunks]
