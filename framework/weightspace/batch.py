"""A batch of networks of one architecture: one contiguous tensor, read-only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from weightspace.errors import SpecError
from weightspace.spec import NetworkSpec


class WeightBatch:
    """B networks of one architecture, with what is known of them. Attributes cannot be set.

    A plain class, not a frozen dataclass: Lightning's precision plugins refuse frozen dataclasses.

    Attributes:
        params: (B, P) floating point, contiguous, in the order of ``spec``.
        spec: the architecture.
        targets: (B,) int64 classes, (B, K) float soft targets or regression targets, or None.
        objects: (B,) int64, which object each network stores, or None.
        views: (B,) int64, which neural view of the object it is, or None.
        num_classes: K where targets are classes (hard or soft), else None.
        index: number of this batch in its epoch; the augmentation chain seeds itself from it.
        paired: whether two draws of these networks are pairs of contrastive training, in which a network must remain
            mostly itself; the augmentation chain says so.
        placement: (B, d, d + 1) where augmentations have moved what each network computes: it has, at a point x, the
            value that its object has at A x + t, with (A, t) the matrix and the last column. None: not followed.
        frame: (B, F) int32, the stored element that brings each network into the frame of the zoo's reference (see
            ``weightspace.symmetry.unpack_element``), or None. Whatever moves neurons leaves it out.

    >>> batch = WeightBatch(torch.zeros(4, 1185), NetworkSpec((2, 32, 32, 1), "sine", 30.0))
    >>> [tuple(w.shape) for w in batch.weights]
    [(4, 32, 2), (4, 32, 32), (4, 1, 32)]
    """

    _TENSORS = ("params", "targets", "objects", "views", "frame", "placement")
    _METADATA = ("spec", "num_classes", "index", "paired")

    params: Tensor
    spec: NetworkSpec
    targets: Tensor | None
    objects: Tensor | None
    views: Tensor | None
    num_classes: int | None
    index: int
    paired: bool
    frame: Tensor | None
    placement: Tensor | None

    def __init__(
        self,
        params: Tensor,
        spec: NetworkSpec,
        targets: Tensor | None = None,
        objects: Tensor | None = None,
        views: Tensor | None = None,
        num_classes: int | None = None,
        index: int = 0,
        paired: bool = False,
        frame: Tensor | None = None,
        placement: Tensor | None = None,
    ) -> None:
        if not isinstance(params, Tensor) or not isinstance(spec, NetworkSpec):
            found = f"{type(params).__name__} and {type(spec).__name__}"
            raise SpecError(f"a WeightBatch takes a tensor of parameters (B, P) and their NetworkSpec, found {found}")
        if not params.is_floating_point():
            raise SpecError(f"params must be floating-point numbers, found {params.dtype}")
        if params.ndim != 2 or params.shape[1] != spec.num_params:
            raise SpecError(f"params must be (B, {spec.num_params}) for {spec}, found {tuple(params.shape)}")
        rows = {"targets": targets, "objects": objects, "views": views, "frame": frame, "placement": placement}
        for name, value in rows.items():
            if value is not None:
                _check_rows(name, value, len(params))
        if frame is not None and (frame.ndim != 2 or frame.dtype != torch.int32):
            found = f"{tuple(frame.shape)} of {frame.dtype}"
            raise SpecError(f"frame must be (B, F) of torch.int32, as ZooAlignment.frames returns it, found {found}")
        put = object.__setattr__
        put(self, "params", params.contiguous())
        put(self, "spec", spec)
        put(self, "targets", targets)
        put(self, "objects", objects)
        put(self, "views", views)
        put(self, "num_classes", num_classes)
        put(self, "index", index)
        put(self, "paired", paired)
        put(self, "frame", frame)
        put(self, "placement", placement)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a WeightBatch is read-only: use batch.replace({name}=...) for a changed copy")

    def __len__(self) -> int:
        return len(self.params)

    def __repr__(self) -> str:
        return f"WeightBatch({len(self)} networks, {self.spec}, {self.params.dtype}, {self.params.device})"

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """W_l as (B, out, in), or (B, out, in, k) for a layer with a kernel, views of ``params``."""
        return tuple(unpack_layers(self.params, self.spec)[0])

    @cached_property
    def kernels(self) -> tuple[Tensor, ...]:
        """W_l as (B, out, in, k) for every layer, with k = 1 for plain linear layers, views of ``params``."""
        return tuple(weight if weight.ndim == 4 else weight.unsqueeze(3) for weight in self.weights)

    @cached_property
    def biases(self) -> tuple[Tensor, ...]:
        """b_l as (B, out), views of ``params``; zeros for a layer without biases."""
        return tuple(unpack_layers(self.params, self.spec)[1])

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.params.device

    def replace(self, **changes: Any) -> WeightBatch:
        """A new batch that differs in the named attributes and shares the others."""
        fields = {name: getattr(self, name) for name in (*self._TENSORS, *self._METADATA)}
        unknown = set(changes) - set(fields)
        if unknown:
            raise TypeError(f"a WeightBatch has no {sorted(unknown)}: it has {sorted(fields)}")
        return WeightBatch(**{**fields, **changes})

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> WeightBatch:
        """A new batch of some networks: ``batch[:8]``, ``batch[5]``, ``batch[[1, 2]]``; a mask works, too.

        Raises:
            IndexError: there is no such network.
        """
        return self.select(torch.arange(len(self), device=self.device)[index].reshape(-1))

    def select(self, rows: Tensor) -> WeightBatch:
        """A new batch of some networks, in the given order.

        Args:
            rows: (n,) int64 or (B,) bool, on the batch's device.
        """
        return self._map(lambda tensor: tensor[rows])

    def to(
        self,
        device: torch.device | str | int | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> WeightBatch:
        """Moves to a device and casts the floating tensors (integer tensors keep their type).

        The first argument may be a dtype, as in ``Tensor.to``.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device

        def move(value: Tensor) -> Tensor:
            return value.to(device, dtype if value.is_floating_point() else None, non_blocking=non_blocking)

        return self._map(move)

    def pin_memory(self) -> WeightBatch:
        """Copies the tensors to page-locked memory (called by the DataLoader)."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> WeightBatch:
        tensors = {name: getattr(self, name) for name in self._TENSORS}
        return self.replace(**{name: function(t) for name, t in tensors.items() if t is not None})

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*self._TENSORS, *self._METADATA)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


def _check_rows(name: str, value: object, count: int) -> None:
    """Raises SpecError unless the value is a tensor with one row for each network."""
    if not isinstance(value, Tensor):
        raise SpecError(
            f"{name} must be a tensor with one row for each of {count} networks, found {type(value).__name__}"
        )
    if value.ndim == 0 or len(value) != count:
        rows = len(value) if value.ndim else "a single number"
        raise SpecError(f"{name} must have one row for each of {count} networks, found {rows}")


def check_batch(name: str, value: object) -> None:
    """Raises SpecError where an argument is not a ``WeightBatch``, as a zoo, or parameters without their architecture.

    >>> check_batch("reference", 3)
    Traceback (most recent call last):
    weightspace.errors.SpecError: reference must be a WeightBatch, such as zoo["train"][:8], found int
    """
    if not isinstance(value, WeightBatch):
        raise SpecError(f'{name} must be a WeightBatch, such as zoo["train"][:8], found {type(value).__name__}')


def pack_layers(weights: Sequence[Tensor], biases: Sequence[Tensor], spec: NetworkSpec | None = None) -> Tensor:
    """Joins weights (B, out, in), or (B, out, in, k), and (B, out) biases to (B, P), in the order of NetworkSpec.

    Args:
        weights, biases: one of each for each layer.
        spec: the architecture, whose layers without biases leave theirs out; None: all have biases.
    """
    has_biases = spec.has_biases if spec else (True,) * len(biases)
    parts: list[Tensor] = []
    for weight, bias, has_bias in zip(weights, biases, has_biases, strict=True):
        parts += [weight.flatten(1), bias][: 1 + has_bias]
    return torch.cat(parts, dim=1)


def unpack_layers(params: Tensor, spec: NetworkSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Splits (B, P) params into weights and (B, out) biases, views of them: undoes ``pack_layers``.

    Layers without biases have zeros.
    """
    weights = [
        params[:, s].unflatten(1, shape) for s, shape in zip(spec.weight_slices, spec.weight_shapes, strict=True)
    ]
    biases = [
        params[:, s] if has else params.new_zeros(()).expand(len(params), width)
        for s, has, width in zip(spec.bias_slices, spec.has_biases, spec.widths[1:], strict=True)
    ]
    return weights, biases


def soft_targets(batch: WeightBatch) -> Tensor:
    """Targets that can be mixed: (B, K) class probabilities from hard classes; others as they are.

    Raises:
        ValueError: the batch has no targets.

    >>> spec = NetworkSpec((2, 3, 1))
    >>> soft_targets(WeightBatch(torch.zeros(1, spec.num_params), spec, torch.tensor([1]), num_classes=2))
    tensor([[0., 1.]])
    """
    if batch.targets is None:
        raise ValueError("the batch has no targets")
    if batch.num_classes is None or batch.targets.ndim == 2:
        return batch.targets
    return torch.nn.functional.one_hot(batch.targets, batch.num_classes).to(batch.params.dtype)
