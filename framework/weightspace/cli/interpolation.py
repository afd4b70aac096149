"""``${...}`` in a configuration: resolved within limits, and what to write where it names no key."""

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

#: Interpolations of a configuration, as they are written.
MOST_WRITTEN = 10_000
#: Characters and values that all interpolations stand for, with the interpolations within them.
MOST_RESOLVED = 100_000

# bound before it is replaced
_apply = core.omegaconf_apply


def install() -> None:
    """Puts the limits in place for all parsers of this process: neither jsonargparse nor OmegaConf has any."""
    core.omegaconf_apply = resolved


def resolved(parser: Any, config: Any) -> Any:
    """A configuration in which the interpolations are replaced by what they stand for.

    Args:
        parser: of the configuration.
        config: whose interpolations may stand for others, which multiplies without end.

    Raises:
        ConfigError: they are too many, stand for too much, or are too deep within one another.
        OmegaConfBaseException: one names no key.
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
    """What interpolations may still stand for: while it is entered, OmegaConf pays for what it resolves and visits."""

    def __init__(self) -> None:
        self.left = MOST_RESOLVED
        # texts are put together at once, values are visited one by one
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
    """Characters of a text; values within a container, as they are written."""
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
    """Says which value cannot be resolved and, where a key is near, how it is written from there."""
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
    """The dotted names of all that a configuration holds."""
    if not isinstance(value, dict):
        return [before]
    names = [name for key, inner in value.items() for name in _keys(inner, f"{before}.{key}" if before else str(key))]
    return [before, *names] if before else names
