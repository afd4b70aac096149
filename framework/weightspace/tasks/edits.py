"""Edits of what a network draws: functions of images, found by entry-point name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from weightspace.entry_points import EDITS, load_plugin, origin
from weightspace.errors import ConfigError

#: A function of images (B, C, H, W) with values in [0, 1]; the result has the same shape.
Edit = Callable[[Tensor], Tensor]
#: How an edit is given: its name, {name: {parameter: value}}, or a function.
EditEntry = str | Mapping[str, Any] | Edit


def build_edit(entry: EditEntry) -> Edit:
    """Makes an edit of an entry-point name, ``distribution:name`` or dotted path, with its parameters.

    Args:
        entry: a name, {name: {parameter: value}}, or a function, which is returned as it is.

    Raises:
        ConfigError: an unknown name (with the known ones and the closest match), wrong parameters, or no function.

    >>> import torch
    >>> build_edit({"dilation": {"size": 3}})(torch.eye(3)[None, None]).sum()
    tensor(9.)
    """
    if not isinstance(entry, str | Mapping):
        if callable(entry):
            return entry
        raise ConfigError(f"an edit is a name, {{name: {{parameter: value}}}} or a function, found {entry!r:.100}")
    if isinstance(entry, str):
        entry = {entry: {}}
    if len(entry) != 1:
        raise ConfigError(f"an edit is a name or {{name: {{parameter: value}}}}, found {entry!r:.100}")
    ((name, given),) = entry.items()
    parameters = {} if given is None else given
    if not isinstance(name, str) or not isinstance(parameters, Mapping):
        raise ConfigError(f"edit {name!r}: parameters must be {{name: value}}, found {given!r:.100}")
    function = load_plugin(EDITS, name, ConfigError, kind="edit")
    owner = f"edit {name!r} of {origin(EDITS, name)}"
    if not callable(function):
        raise ConfigError(f"{owner} must be a function of images, found {function!r:.100}")
    try:
        inspect.signature(function).bind(torch.zeros(1), **parameters)
    except TypeError as error:
        takes = ", ".join(str(p.replace(annotation=p.empty)) for p in _parameters(function))
        raise ConfigError(f"{owner}: {error}; its parameters: {takes or 'none'}") from error
    return partial(function, **parameters)


def _parameters(function: Any) -> list[inspect.Parameter]:
    """The parameters of an edit besides the images."""
    return list(inspect.signature(function).parameters.values())[1:]


def edited(edit: Edit, images: Tensor) -> Tensor:
    """The edited images.

    Args:
        edit: the edit.
        images: (B, C, H, W) with values in [0, 1].

    Raises:
        ConfigError: the result is no tensor of the same shape.
    """
    result = edit(images)
    if not isinstance(result, Tensor) or result.shape != images.shape:
        found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        name = getattr(getattr(edit, "func", edit), "__name__", repr(edit))
        raise ConfigError(f"the edit {name} must give images of the size {tuple(images.shape)}, found {found}")
    return result
