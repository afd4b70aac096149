"""The base class of backbones."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, Self, cast

from torch import Tensor, nn

from weightspace.backbones.compiling import compile_blocks
from weightspace.backbones.description import as_state, from_state, is_description
from weightspace.backbones.heap import keep_freed_memory
from weightspace.backbones.moments import Moments
from weightspace.backbones.naming import means, name_of
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.partial import BackbonePartial
from weightspace.backbones.plain import plain
from weightspace.batch import WeightBatch, check_batch
from weightspace.checks import check_sizes
from weightspace.errors import ConfigError, SpecError
from weightspace.spec import NetworkSpec
from weightspace.zoo.architectures import alike


class Backbone(nn.Module, ABC):
    """Maps a batch of networks of one architecture to vectors.

    Attributes that subclasses declare, on the class or, if they depend on an argument, on the instance. Only symmetries
    that the networks' activation has are relevant:

        invariant_to: names of the symmetries that do not change the result ("permutation", "sign", "phase", "scale").
        free_widths: whether its weights do not depend on the widths of the networks' hidden layers, so that it reads
            networks of other hidden widths than those it was built for; their architecture is then the second argument
            of ``encode``, and ``fit_normaliser`` has to use ``batch.spec``.
        equivariant_to: names of the symmetries that transform a result of the shape of the networks like the networks.
        stored_alignment: whether ``set_reference`` is given the reference of a stored alignment of the zoo before
            training: False, True (of the only one), or the name of the alignment.
        free_arguments: constructor arguments that affect neither the shapes of weights nor the result in evaluation
            mode; saved weights can be loaded whatever their values.
        compile_pays: multiply-adds of all training steps from which compiling is repaid at least twice, so that tasks
            do it by themselves; infinity, the default: they do not.
        constant_buffers: names of its own buffers that training does not change, so that several processes need not
            send them to each other in every step. Modules within may declare it too; buffers not named are sent.
        chunk: networks that go through a block at a time; 0: the whole batch.

    Args:
        spec: architecture of the networks.
        out_dim: length of the result, >= 1.
        normaliser: scales the parameters; its statistics are buffers, saved with the weights. None: the subclass
            normalises its input itself and overrides ``fit_normaliser``.

    Raises:
        SpecError: ``spec`` is not a NetworkSpec.
        ConfigError: ``out_dim`` is out of range.
        TypeError: an argument is missing or unknown.
    """

    set_by_constructor = "out_dim"

    normaliser: Normaliser
    _arguments: dict[str, Any]
    invariant_to: frozenset[str] = frozenset()
    free_widths: bool = False
    equivariant_to: frozenset[str] = frozenset()
    free_arguments: frozenset[str] = frozenset({"dropout", "pool_dropout"})
    constant_buffers: frozenset[str] = frozenset()
    stored_alignment: bool | str = False
    compile_pays: float = inf
    chunk: int = 0

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keeps the arguments for the description that is saved with the weights."""
        self = super().__new__(cls)
        if args or kwargs:  # a copy is made without
            signature = inspect.signature(cls.__init__)
            try:
                bound = signature.bind(self, *args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{cls.__name__}: {error}; a task takes {cls.__name__}.partial(...)") from None
            bound.apply_defaults()
            _, (_, spec), _, *own = bound.arguments.items()  # self, spec and out_dim come first
            if not isinstance(spec, NetworkSpec):
                raise SpecError(
                    f"{cls.__name__}: spec must be a NetworkSpec, such as zoo.spec, found {type(spec).__name__}"
                )
            object.__setattr__(self, "_arguments", _by_name(signature, own))
        return self

    def __init__(self, spec: NetworkSpec, out_dim: int, normaliser: Normaliser | None) -> None:
        super().__init__()
        keep_freed_memory()
        check_sizes(type(self).__name__, out_dim=out_dim)
        self.spec, self.out_dim = spec, int(out_dim)
        if normaliser is not None:
            self.normaliser = normaliser

    @classmethod
    def partial(cls, **arguments: Any) -> BackbonePartial:
        """Binds arguments of this class except the architecture, which a task takes from its data.

        Args:
            arguments: constructor arguments other than spec and out_dim.

        Raises:
            ConfigError: an argument is unknown or missing.
        """
        return BackbonePartial(cls, arguments)

    def forward(self, batch: WeightBatch) -> Tensor:
        """Maps a batch to (B, out_dim) results.

        Raises:
            SpecError: not a batch, or its networks have another architecture than that of the backbone, or, with
                ``free_widths``, one that differs in more than the widths of its hidden layers.
        """
        check_batch("batch", batch)
        params = batch.params.to(next(self.parameters()).dtype)
        if batch.spec == self.spec:
            return self.encode(params)
        if not self.reads(batch.spec):
            raise SpecError(f"this backbone was built for {self.spec}, the batch has {batch.spec}")
        # the base class promises only the parameters
        result: Tensor = cast(Any, self).encode(params, batch.spec)
        return result

    def reads(self, spec: NetworkSpec) -> bool:
        """Whether it reads networks of this architecture: its own, or, with ``free_widths``, one of other widths."""
        return spec == self.spec or (self.free_widths and alike(self.spec, spec))

    @abstractmethod
    def encode(self, params: Tensor) -> Tensor:
        """Maps (B, P) parameters, not yet normalised, to (B, out_dim); works on tensors only, so that it compiles."""

    def fit_normaliser(self, batch: WeightBatch) -> None:
        """Sets the normaliser's statistics from training networks."""
        self.normaliser.fit(batch.params, batch.spec)

    def fit_to_widths(self, batches: Sequence[WeightBatch]) -> None:
        """Sets the statistics from training networks of several hidden widths, for backbones with ``free_widths``.

        They are those of all networks together: of all entries of a W_l or b_l, for instance, whatever its size.

        Args:
            batches: one at least; one for each architecture.
        """
        normalisers = [module for module in self.modules() if isinstance(module, Normaliser)]
        found = []
        for batch in batches:
            self.fit_normaliser(batch)
            found.append([normaliser.fitted for normaliser in normalisers])
        if len(batches) > 1:
            for normaliser, *parts in zip(normalisers, *found, strict=True):
                normaliser.take([Moments.joined(group) for group in zip(*parts, strict=True)])

    def set_reference(self, reference: WeightBatch) -> None:
        """Sets the reference of a stored alignment, for backbones with ``stored_alignment``.

        Args:
            reference: a batch of one network.
        """
        raise NotImplementedError(f"{type(self).__name__} declares stored_alignment, and has no set_reference")

    def compile(self, batch_size: int | None = None, **options: Any) -> None:
        """Compiles ``blocks`` in place for training: forward passes in training mode, with gradients.

        All others are computed eagerly: their results do not depend on how the weights were trained.

        Args:
            batch_size: networks in a whole batch: of these, the blocks are compiled once, and batches of other sizes
                are computed eagerly. None: each size is compiled when it comes.
            options: of ``torch.compile``.

        Raises:
            ConfigError: a batch size below 1.
        """
        if batch_size is not None:
            check_sizes(f"{type(self).__name__}.compile", batch_size=batch_size)
            options = {"dynamic": False, **options}
        blocks = self.blocks()
        own = [block for block in blocks if block is self or not isinstance(block, Backbone)]
        size = batch_size if batch_size is None or not self.chunk else min(batch_size, self.chunk)
        compile_blocks(own, size, **options)
        for block in blocks:
            if isinstance(block, Backbone) and block is not self:
                block.compile(batch_size, **options)

    def blocks(self) -> Sequence[nn.Module]:
        """Modules that are compiled separately; equal ones are compiled once. Default: the complete backbone.

        Their tensors have a dimension of networks first. A backbone among them compiles its own blocks.
        """
        return [self]

    def description(self) -> dict[str, Any]:
        """Describes this backbone as JSON data from which it can be built again: class, spec, out_dim and arguments.

        A nested backbone that was given as a class with arguments is described by class and arguments as well.

        Raises:
            ConfigError: an argument is not plain data.
        """
        return {"spec": self.spec.to_json(), "out_dim": self.out_dim, **_class_and_arguments(self)}

    def get_extra_state(self) -> Tensor:
        """The description that is saved with the weights: JSON text as bytes, since some formats only store tensors."""
        return as_state(self.description())

    def set_extra_state(self, state: Tensor) -> None:
        """Raises SpecError if the loaded weights belong to another backbone, or to one for other networks.

        With ``free_widths``, the backbone becomes one for the hidden widths of the saved one.
        """
        own = self.description()
        try:
            saved = _named_as_here(from_state(state), self)
            found = NetworkSpec.from_json(saved["spec"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SpecError(f"the saved weights have no description of their backbone: {error}") from error
        if not self.reads(found):
            raise SpecError(f"this backbone was built for {self.spec}, the saved one for {found}")
        if saved["class"] != own["class"]:
            raise SpecError(f"this backbone is a {own['class']}, the saved one a {saved['class']}")
        own, saved = ({"out_dim": side["out_dim"], **_fixed_arguments(side, self)} for side in (own, saved))
        saved = {**_defaults(type(self)), **saved}  # weights of an earlier version do not name arguments added since
        for argument in sorted({*own, *saved} - self.free_arguments):
            here, there = (side.get(argument, "missing") for side in (own, saved))
            if here != there:
                raise SpecError(f"{type(self).__name__}: {argument} is {here} here, and {there} in the saved weights")
        if found != self.spec:
            self.spec = found
            for module in self.modules():
                if isinstance(module, Normaliser) and module.spec is not None:
                    module.move_to(found)


def _by_name(signature: inspect.Signature, bound: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Arguments with those of ``**options`` under their own names, and without ``*args`` that are empty."""
    arguments: dict[str, Any] = {}
    for name, value in bound:
        kind = signature.parameters[name].kind if name in signature.parameters else None
        if kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= value
        elif value or kind is not inspect.Parameter.VAR_POSITIONAL:
            arguments[name] = value
    return arguments


def _fixed_arguments(described: dict[str, Any], backbone: Backbone) -> dict[str, Any]:
    """The arguments of a description that are not free, also of backbones within."""
    # earlier versions do not have **options under their own names
    arguments = _by_name(inspect.signature(type(backbone).__init__), described["arguments"].items())
    fixed = {name: value for name, value in arguments.items() if name not in backbone.free_arguments}
    for name, value in fixed.items():
        within = getattr(backbone, name, None)
        if is_description(value) and isinstance(within, Backbone):
            fixed[name] = {**value, "arguments": _fixed_arguments(value, within)}
    return fixed


def _defaults(cls: type[Backbone]) -> dict[str, Any]:
    """The arguments that have a default."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def _class_and_arguments(backbone: Backbone) -> dict[str, Any]:
    return {
        "class": name_of(type(backbone)),
        "arguments": {name: _plain(backbone, name, value) for name, value in backbone._arguments.items()},
    }


def _named_as_here(saved: dict[str, Any], backbone: Backbone) -> dict[str, Any]:
    """Replaces names of classes in a saved description by current ones, if they mean those of the backbone."""
    arguments = dict(saved["arguments"])
    for name, value in arguments.items():
        within = getattr(backbone, name, None)
        if is_description(value) and isinstance(within, Backbone):
            arguments[name] = _named_as_here(value, within)
    cls = type(backbone)
    return {**saved, "class": name_of(cls) if means(saved["class"], cls) else saved["class"], "arguments": arguments}


def _plain(backbone: Backbone, argument: str, value: Any) -> Any:
    within = getattr(backbone, argument, None)
    if callable(value) and isinstance(within, Backbone):
        return _class_and_arguments(within)
    try:
        return plain(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{type(backbone).__name__}: arguments must be numbers, text, or lists and dicts of them, so that they can "
            f"be saved, found {argument} = {value!r}"
        ) from error
