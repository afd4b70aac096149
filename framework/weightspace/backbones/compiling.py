"""Compiling a backbone for training: one shape of each width is compiled, once, and all else is computed eagerly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError
from weightspace.files.cache import keep_compiled_code

#: Of torch's own compiler, which otherwise moves the channels of all tensors around the convolutions of ``Linear``.
OPTIONS = {"layout_optimization": False}


class Runs:
    """Compiled functions (module, inputs) -> result: one for each kind of inputs, that is for each width of networks.

    Each has code of its own: none is compiled anew when another width comes, nor for a shape that stands for both.

    Args:
        options: of ``torch.compile``.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self._made: dict[Any, Callable[..., Any]] = {}

    def of(self, inputs: Any) -> Callable[..., Any]:
        """The function for inputs of this kind."""
        kind = kind_of(inputs)
        if kind not in self._made:
            self._made[kind] = torch.compile(own_code(_call), **self.options)
        return self._made[kind]


class Compiled:
    """Calls a module compiled where it is trained with whole batches, and eagerly otherwise.

    Whole batches have one shape. A graph for each other one, of the last batch of an epoch or of validation, would take
    as long to compile as the first, for few networks; and results of given weights do not depend on how they were
    trained.

    Args:
        module: is called so.
        runs: make what is compiled.
        size: networks in a whole batch; None: training is compiled for every size.
    """

    def __init__(self, module: nn.Module, runs: Runs, size: int | None) -> None:
        self.module, self.runs, self.size = module, runs, size

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Calls the module."""
        trained = self.module.training and torch.is_grad_enabled()
        if trained and (self.size is None or networks_in((*inputs, options)) == self.size):
            return self.runs.of((*inputs, options))(self.module, *inputs, **options)
        return _call(self.module, *inputs, **options)


def compile_blocks(blocks: Sequence[nn.Module], size: int | None, **options: Any) -> None:
    """Compiles modules in place, equal ones once; copies of them, and what is saved, are as before.

    Uses ``_compiled_call_impl``, through which a module is called if it is there, as ``nn.Module.compile`` does, which
    would compile all that comes.

    Args:
        blocks: modules whose tensors have a dimension of networks first.
        size: networks in a whole batch, see ``Compiled``.
        options: of ``torch.compile``.
    """
    keep_compiled_code()
    if not options.keys() & {"backend", "mode", "options"}:
        options["options"] = OPTIONS
    runs = Runs(options)
    for block in blocks:
        block._compiled_call_impl = Compiled(block, runs, size)


def run_eagerly(module: nn.Module) -> None:
    """Undoes the compilation of a module and all within it."""
    for part in module.modules():
        part._compiled_call_impl = None


def own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a function with code of its own.

    For each code, torch compiles at most eight times (``recompile_limit``), and then computes eagerly without a word:
    backbones that share none cannot take each other's place.
    """
    assert isinstance(function, FunctionType)
    return FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def _call(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    return module._call_impl(*inputs, **options)


def networks_in(value: Any) -> int | None:
    """Number of networks in a batch, or first dimension of the first tensor in nested inputs; None: there is none."""
    if isinstance(value, WeightBatch):
        return len(value)
    if isinstance(value, Tensor):
        return len(value) if value.ndim else None
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((count for count in map(networks_in, parts) if count is not None), None)


def kind_of(value: Any) -> Any:
    """What distinguishes inputs of one width from others: architectures, and shapes but for the first dimension.

    >>> kind_of([torch.zeros(8, 3, 2), 1.0])
    ((3, 2), None)
    """
    if isinstance(value, WeightBatch):
        return value.spec
    if isinstance(value, Tensor):
        return tuple(value.shape[1:])
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else None
    return None if parts is None else tuple(map(kind_of, parts))


@cache
def check_compiler(device: str) -> None:
    """Compiles a line, which shows whether a compiler works; a torch cache that knows the line does not hide it.

    Args:
        device: type of the device, such as "cpu".

    Raises:
        ConfigError: there is no working compiler.
    """
    keep_compiled_code()
    with torch.no_grad():
        try:
            torch.compile(own_code(_line), dynamic=False)(torch.ones(8, device=device))
        except Exception as error:  # a compiler fails in many ways; all of them mean the same here
            said = [line for line in str(error).splitlines() if line.strip()]
            needed = "a C++ compiler" if device == "cpu" else "triton, a C compiler"
            raise ConfigError(
                f"there is no working compiler ({type(error).__name__}: {said[0] if said else ''}): install {needed} "
                "and Python's headers"
            ) from error


def _line(x: Tensor) -> Tensor:
    return x.sin() + 1


def multiply_adds(module: nn.Module, batch: WeightBatch) -> int:
    """Multiplications and additions of matrix products in a forward pass, as torch counts them.

    Args:
        module: called with the batch, in evaluation mode.
        batch: networks on the device of the module.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(batch)
    finally:
        for part, training in modes.items():
            part.training = training
    return int(counter.get_total_flops()) // 2
