"""Detecting plugin classes whose constructor does not call that of its base."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from weightspace.errors import WeightspaceError

#: Class attribute of a base with a constructor that has to be called: the name of an attribute that this one sets.
MARK = "set_by_constructor"
#: How torch says that a module was assigned to too early.
_TOO_EARLY = "before Module.__init__() call"


def check_constructed(made: object, error: type[WeightspaceError], title: str | None = None) -> None:
    """Raises an error of the given type if the constructor of a base class was never called.

    Args:
        made: the object to check.
        error: the error type to raise.
        title: name of the object in the message; default: its class.
    """
    marks = [vars(base)[MARK] for base in type(made).__mro__ if MARK in vars(base)]
    marks += ["_modules"] if isinstance(made, nn.Module) else []
    if not all(mark in vars(made) for mark in marks):
        raise error(_message(type(made), title))


@contextmanager
def constructing(error: type[WeightspaceError]) -> Iterator[None]:
    """Replaces torch's error about a module that is assigned to before ``super().__init__()`` ran."""
    try:
        yield
    except Exception as raised:
        early: BaseException | None = raised
        while early is not None and not (isinstance(early, AttributeError) and _TOO_EARLY in str(early)):
            early = early.__cause__ or early.__context__
        if early is None:
            raise
        raise error(_message(type(_owner(early)), None)) from raised


def _owner(raised: BaseException) -> object:
    """The object whose method raised the error."""
    trace = raised.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_locals.get("self") if trace is not None else None


def _message(cls: type, title: str | None) -> str:
    base = next(base for base in cls.__mro__[1:] if "__init__" in vars(base))
    _, *parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
    named = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return f"{title or cls.__name__}: its constructor must call super().__init__({', '.join(named)})"
