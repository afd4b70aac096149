"""Resolving interpolations ``${...}`` in configurations within limits, with helpful errors for unknown keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

from jsonargparse import _core as core
from omegaconf import Container, Node, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from weightspace.errors import ConfigError

#: Largest number of interpolations written in a configuration.
MOST_WRITTEN = 10_000
#: Largest number of characters and values to which all interpolations expand, including nested ones.
MOST_RESOLVED = 100_000

# reference to the original function
_apply = core.omegaconf_apply


def install() -> None:
    """Installs the limits for all parsers of this process, since neither jsonargparse nor OmegaConf has any."""
    core.omegaconf_apply = resolved


def resolved(parser: Any, config: Any) -> Any:
    """Resolves the interpolations of a configuration.

    Args:
        parser: parser of the configuration.
        config: configuration, whose interpolations may be nested and so expand exponentially.

    Raises:
        ConfigError: there are too many interpolations, or they expand to too much, or are nested too deeply.
        OmegaConfBaseException: an interpolation names an unknown key.
    """
    written = str(config).count("${")
    if written > MOST_WRITTEN:
        raise ConfigError(f"interpolations (${{...}}): expected at most {MOST_WRITTEN:,}, found {written:,}")
    budget = _Budget()
    try:
        with budget:
            return _apply(parser, config)
    except (OmegaConfBaseException, RecursionError, ValueError) as error:
        if budget.left < 0:
            raise ConfigError(
                f"interpolations (${{...}}) stand for more than {MOST_RESOLVED:,} characters and values: write them out"
            ) from error
        if _is_too_deep(error):
            raise ConfigError("interpolations (${...}) are too deep within one another") from error
        raise


class _Budget:
    """A limit on the expansion of interpolations; while entered, it counts what OmegaConf resolves and visits."""

    def __init__(self) -> None:
        self.left = MOST_RESOLVED
        # texts are built at once, values are visited one by one
        costs: list[tuple[type, str, Callable[[Any], int]]] = [
            (Container, "_resolve_node_interpolation", _size),
            (Container, "_evaluate_custom_resolver", _size),
            (BaseContainer, "_get_child", lambda child: 1),
        ]
        self._methods = [(owner, name, getattr(owner, name), cost) for owner, name, cost in costs]

    def __enter__(self) -> _Budget:
        for owner, name, give, cost in self._methods:
            setattr(owner, name, self._paying(give, cost))
        return self

    def __exit__(self, *raised: object) -> None:
        for owner, name, give, _ in self._methods:
            setattr(owner, name, give)

    def _paying(self, give: Callable[..., Any], cost: Callable[[Any], int]) -> Callable[..., Any]:
        def pay(*args: Any, **kwargs: Any) -> Any:
            found = give(*args, **kwargs)
            self.left -= cost(found)
            if self.left < 0:
                raise ValueError("interpolations stand for too much")
            return found

        return pay


def _size(found: Any) -> int:
    """Number of characters of a text, or of values in a container."""
    value = found._value() if isinstance(found, Node) else found
    if isinstance(value, (str, bytes)):
        return 1 + len(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, inside))


def _is_too_deep(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, RecursionError):
        error = error.__cause__ or error.__context__
    return error is not None


def unresolved(error: OmegaConfBaseException) -> str:
    """Describes which value cannot be resolved and, if there is a similar key, how to refer to it from there."""
    first = str(error).splitlines()[0]
    match = re.search(r"Interpolation key '(.+?)' not found(?: \(resolved to '(.+?)'\))?", first)
    if match is None or not error.full_key or error.parent_node is None:
        return f"the configuration cannot be resolved: {first}"
    command, *place = re.split(r"\.|\[", error.full_key.replace("]", ""))
    wanted = (match[2] or match[1]).removeprefix(f"{command}.").lstrip(".")
    whole: Any = OmegaConf.to_container(error.parent_node._get_root(), resolve=False)
    known = _keys(whole[command])
    text = f"{'.'.join(place)}: there is no key ${{{match[1]}}}"
    close = difflib.get_close_matches(wanted, known, n=1)
    if not close:
        return f"{text}; keys are relative to where they stand: .key is beside it, ..key one level further out"
    form = f"${{{'.' * len(place)}{close[0]}}}"
    return f"{text}: keys are relative: write {form}" if close[0] == wanted else f"{text}: did you mean {form}?"


def _keys(value: Any, before: str = "") -> list[str]:
    """The dotted names of all keys of a configuration."""
    if not isinstance(value, dict):
        return [before]
    names = [name for key, inner in value.items() for name in _keys(inner, f"{before}.{key}" if before else str(key))]
    return [before, *names] if before else names
