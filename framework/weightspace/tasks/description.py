"""Descriptions of tasks in checkpoints, from which a task is built without its zoo and without unpickling."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import torch
from torch import nn

from weightspace.backbones.artefact import described_factory
from weightspace.backbones.base import Backbone
from weightspace.backbones.naming import dotted
from weightspace.backbones.plain import plain
from weightspace.data.targets import Target
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.spec import NetworkSpec

#: Key of the description in a checkpoint.
KEY = "task"
_NOT_PLAIN = object()
#: Keys of a description with their types.
_DESCRIPTION = {"class": str, "arguments": dict, "omitted": list, "spec": dict}
#: Arguments that are needed to train a task, but not to build it.
_OF_TRAINING = ("optimizer", "scheduler")


def given_arguments(constructor: Callable[..., None], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of a constructor call by name, without ``self``, with those defaults that are plain data.

    Raises:
        TypeError: the constructor does not take them.
    """
    signature = inspect.signature(constructor)
    _, *bound = signature.bind(*args, **kwargs).arguments.items()
    defaults = {name: p.default for name, p in signature.parameters.items() if p.default is not p.empty}
    given = {name: value for name, value in defaults.items() if _plain(value) is not _NOT_PLAIN}
    for name, value in bound:
        options = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        given |= value if options else {name: value}
    return given


def _plain(value: Any) -> Any:
    """Converts a value to JSON data; ``_NOT_PLAIN`` if that is not possible."""
    try:
        return plain(value)
    except (TypeError, ValueError):
        return _NOT_PLAIN


def describe(
    task: object, given: dict[str, Any], backbone: Backbone | None, spec: NetworkSpec | None
) -> dict[str, Any]:
    """Describes a task as plain data: class and arguments of the task and its backbone, and the architecture.

    Of arguments that are not plain data (functions, optimisers) only the names are kept, as "omitted".

    Args:
        task: the task.
        given: its arguments by name.
        backbone: the backbone that was built from the argument of this name.
        spec: architecture of the networks for which it was built.
    """
    plain = {name: _plain(value) for name, value in given.items()}
    arguments = {name: value for name, value in plain.items() if value is not _NOT_PLAIN}
    omitted = [name for name in plain if name not in arguments]
    described: dict[str, Any] = {"class": dotted(type(task)), "arguments": arguments, "omitted": omitted}
    if "backbone" in omitted and backbone is not None:
        described["backbone"] = backbone.description()
        omitted.remove("backbone")
    if spec is not None:
        described["spec"] = spec.to_json()
    return described


@dataclass(frozen=True)
class Saved:
    """The description of a task in a checkpoint.

    Attributes:
        checkpoint: contents of the checkpoint.
        cls: class of the task.
        arguments: arguments of its constructor.
        spec: architecture of the networks for which it was built.
        target: target of its head.
    """

    checkpoint: dict[str, Any]
    cls: type[Any]
    arguments: dict[str, Any]
    spec: NetworkSpec
    target: Target | None

    @classmethod
    def read(cls, kind: type, path: Any, device: Any, given: dict[str, Any]) -> Saved:
        """Reads a checkpoint and the description of its task.

        Args:
            kind: the expected class, or a base class of it.
            path: file or address of the checkpoint.
            device: device of the weights.
            given: arguments that replace saved ones.

        Raises:
            ConfigError: the checkpoint cannot be read, belongs to another class, or lacks an argument.
        """
        checkpoint = read_checkpoint(path, device)
        described = checkpoint.get(KEY)
        if not isinstance(described, dict) or "spec" not in described:
            raise ConfigError(
                f"{path} does not describe its task, like checkpoints of earlier versions: give it to a trainer "
                "with the task (ckpt_path), or load the file of the backbone in the folder of its run"
            )
        for name, kind_of in _DESCRIPTION.items():
            if type(described.get(name)) is not kind_of:
                raise ConfigError(
                    f"{path}: the description of its task is damaged: {name} should be a {kind_of.__name__}"
                )
        target = checkpoint.get("target")
        return cls(
            checkpoint,
            _found_class(kind, described["class"], path),
            _arguments(described, given, path),
            NetworkSpec.from_json(described["spec"]),
            None if target is None else Target.from_json(target),
        )


def omitted_arguments(path: Any) -> list[str]:
    """Names of the arguments that a checkpoint lacks, and without which its task cannot be built."""
    return [name for name in read_checkpoint(path)[KEY]["omitted"] if name not in _OF_TRAINING]


def load_weights(task: nn.Module, weights: dict[str, torch.Tensor], strict: bool) -> None:
    """Loads weights into a task, in the precision in which they were trained.

    Raises:
        RuntimeError: names or shapes of the weights differ from those of the task.
        SpecError: the weights belong to another backbone.
    """
    floats = [tensor.dtype for tensor in weights.values() if tensor.is_floating_point()]
    if floats:
        task.to(floats[0])
    task.load_state_dict(weights, strict=strict)


def _found_class(kind: type, saved: str, path: Any) -> type:
    """Finds the class of this name among the expected one and its subclasses, since a file imports nothing."""
    classes = [kind, *_derived(kind)]
    name = saved.rpartition(".")[2]
    found = [cls for cls in classes if dotted(cls) == saved] or [cls for cls in classes if cls.__name__ == name]
    if not found:
        raise ConfigError(
            f"{path} is of a {name}, but {kind.__name__} was expected: import its class ({saved}) and call "
            f"{name}.load_from_checkpoint"
        )
    return kind if kind in found else found[-1]  # the newest, as where a cell of a notebook was run again


def _derived(kind: type) -> list[type]:
    direct: list[type] = kind.__subclasses__()
    return [*direct, *(deeper for child in direct for deeper in _derived(child))]


def _arguments(described: dict[str, Any], given: dict[str, Any], path: Any) -> dict[str, Any]:
    arguments = {**described["arguments"], **given}
    if "backbone" in described and "backbone" not in given:
        arguments["backbone"] = described_factory(described["backbone"])
    for name in described["omitted"]:
        if name in _OF_TRAINING:
            arguments.setdefault(name, partial(_refuse_training, name, str(path)))
        elif name not in given:
            raise ConfigError(
                f"{path} does not contain the argument {name}, which is not plain data: give it, "
                f"load_from_checkpoint(path, {name}=...)"
            )
    return arguments


def _refuse_training(name: str, path: str, *_: Any) -> NoReturn:
    raise ConfigError(
        f"the {name} with which {path} was trained is not in it: to resume, load_from_checkpoint(path, {name}=...)"
    )
