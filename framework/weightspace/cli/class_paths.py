"""Rules for ``class_path`` in configurations: permitted values, and arguments when a class is replaced by another.

This module, ``config_text`` and ``interpolation`` replace functions of jsonargparse for which it has no settings:

- For a callable that makes objects of a class, jsonargparse checks the return type of a function only if it is given
  by its path; a function with ``init_args`` is called whatever it returns.
- If a class is replaced by another, jsonargparse keeps those arguments of the old one that the new one also takes.
- If a list is replaced by one of the same length, jsonargparse keeps arguments of the old items; and it applies an
  option like ``--data.augmentations.0.rotate.degrees`` to the last item.
- It does not know entry points: ``distribution:name`` is the backbone of that name in a distribution.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import jsonargparse
from jsonargparse import _typehints as typehints

from weightspace.backbones import Backbone
from weightspace.entry_points import BACKBONES, load_plugin
from weightspace.errors import ConfigError

#: A backbone as ``distribution:name``.
OFFERED = re.compile(r"[\w.-]+:[\w-]+")

# references to the original functions
_make_partial = typehints.adapt_partial_callable_class
_adapt = typehints.adapt_typehints
_import = typehints.import_object


def install() -> None:
    """Installs the rules for all parsers of this process."""
    # enables jsonargparse's list of paths that a configuration must not import (os, subprocess, pickle, ...)
    jsonargparse.set_parsing_settings(import_path_denylist=[], instantiate_subclass_spec_in_any=False)
    typehints.adapt_partial_callable_class = adapt_partial_callable_class
    typehints.adapt_typehints = adapt_typehints
    typehints.discard_init_args_on_class_path_change = discard_init_args_on_class_path_change


def adapt_partial_callable_class(callable_type: Any, spec: Any) -> tuple[Any, Any]:
    """Refuses anything but classes and functions whose return annotation is the expected class.

    A function is called later like a class, with its ``init_args`` and the arguments of the callable's type.

    Raises:
        ImportError: the class path is not valid; jsonargparse expects this type.
    """
    result = _make_partial(callable_type, spec)
    target = _import(result[0]["class_path"])
    if inspect.isclass(target):
        return result
    expected = typehints.get_subclass_types(typehints.get_callable_return_type(callable_type)) or ()
    if not expected or not typehints.function_returns_subclass(target, expected, None):
        names = " or ".join(cls.__name__ for cls in expected) or "class"
        raise ImportError(
            f"{spec['class_path']} is neither a subclass of {names} nor a function whose return annotation is one"
            if expected
            else f"{spec['class_path']} is no class: a function is given by its path alone"
        )
    return result[0], {len(callable_type.__args__) - 1}


def discard_init_args_on_class_path_change(parser_or_action: Any, previous: Any, value: Any) -> None:
    """Discards all arguments of the old class if another class is chosen, but not for another spelling of its name."""
    if not previous or not ("init_args" in previous or "dict_kwargs" in previous):
        return
    if not _same_class(previous["class_path"], value["class_path"]):
        for part in ("init_args", "dict_kwargs"):
            previous.pop(part, None)


def _same_class(one: str, other: str) -> bool:
    if "." in one and "." in other:
        return one == other or _import(one) is _import(other)
    return one.rpartition(".")[2] == other.rpartition(".")[2]


def adapt_typehints(val: Any, typehint: Any, *args: Any, **kwargs: Any) -> Any:
    """Replaces lists completely, applies an option of one item to that item, and resolves ``distribution:name``.

    Raises:
        ValueError: the value is not valid; jsonargparse expects this type.
        ConfigError: there is no such distribution, or it has no such backbone.
    """
    if _makes_backbones(typehint):
        val = _with_import_path(val)
    if typehints.get_typehint_origin(typehint) in typehints.sequence_origin_types and not kwargs.get("append"):
        before = kwargs.get("prev_val")
        if isinstance(val, list):
            kwargs["prev_val"] = None
        elif isinstance(val, typehints.NestedArg) and (isinstance(before, list) or val.key.split(".")[0].isdigit()):
            placed = replace_item(before or [], val.key, val.val)
            if placed is not None:
                val, kwargs["prev_val"] = placed, None
    return _adapt(val, typehint, *args, **kwargs)


def _makes_backbones(typehint: Any) -> bool:
    if typehints.get_typehint_origin(typehint) not in typehints.callable_origin_types:
        return False
    made = typehints.get_callable_return_type(typehint)
    return inspect.isclass(made) and issubclass(made, Backbone)


def _with_import_path(value: Any) -> Any:
    """Replaces ``distribution:name`` in the choice of a backbone by the import path."""
    if isinstance(value, str) and OFFERED.fullmatch(value):
        found = load_plugin(BACKBONES, value, ConfigError, kind="backbone")
        return f"{found.__module__}.{found.__qualname__}"
    if isinstance(value, typehints.NestedArg) and value.key == "class_path":
        return value._replace(val=_with_import_path(value.val))
    if isinstance(value, (dict, jsonargparse.Namespace)) and "class_path" in value:
        value = value.clone() if isinstance(value, jsonargparse.Namespace) else dict(value)
        value["class_path"] = _with_import_path(value["class_path"])
    return value


def replace_item(items: list[Any], key: str, value: Any) -> list[Any] | None:
    """Returns a list in which one item, or a part of it, is replaced; None if the key does not name an item.

    Args:
        items: names, mappings or class specifications.
        key: the item's position, counted from 0, or, for items ``name`` or ``{name: {...}}``, its name; then, after
            dots, keys inside the item.
        value: the new value, as YAML if it is text.

    Raises:
        ValueError: there is no such item.

    >>> replace_item(["sign_flip", {"rotate": {"degrees": 30, "p": 0.5}}], "1.rotate.degrees", "45")
    ['sign_flip', {'rotate': {'degrees': 45, 'p': 0.5}}]
    >>> replace_item(["sign_flip", {"rotate": {"degrees": 30}}], "sign_flip.p", "0.5")
    [{'sign_flip': {'p': 0.5}}, {'rotate': {'degrees': 30}}]
    """
    head, _, rest = key.partition(".")
    if head.isdigit():
        place = int(head)
        if place >= len(items):
            raise ValueError(f"there is no item {place}: the list has {len(items)}, counted from 0; KEY+ adds one")
        inner = rest
    else:
        names = [_item_name(item) for item in items]
        if None in names:  # classes: jsonargparse applies the key to the last one
            return None
        if names.count(head) != 1:
            found = f"{names.count(head)} items {head!r}" if head in names else f"no item {head!r}"
            raise ValueError(
                f"there is {found} among {', '.join(map(str, names)) or 'none'}: give its position, from 0"
            )
        place, inner = names.index(head), key
    new = _load(value) if isinstance(value, str) else value
    if inner:
        new = _with_value(items[place], inner.split("."), new)
    return [*items[:place], new, *items[place + 1 :]]


def _load(text: str) -> Any:
    return jsonargparse.get_loader("yaml")(text)


def _item_name(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    return str(next(iter(item))) if isinstance(item, dict) and len(item) == 1 else None


def _with_value(item: Any, keys: list[str], value: Any) -> Any:
    """Copies an item with a new value at nested keys; a name is first converted to ``{name: {}}``."""
    if not keys:
        return value
    known = item.as_dict() if isinstance(item, jsonargparse.Namespace) else item
    parts = {known: {}} if isinstance(known, str) else dict(known or {})
    if "class_path" in parts and keys[0] not in ("class_path", "init_args", "dict_kwargs"):
        keys = ["init_args", *keys]
    parts[keys[0]] = _with_value(parts.get(keys[0]), keys[1:], value)
    return parts
