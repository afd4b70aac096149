"""Reading pickles of plain data without executing anything that they contain."""

from __future__ import annotations

import math
import pickletools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightspace.files.limits import PICKLE_STEPS

#: Modules of numpy had another name before version 2.
CORE = r"numpy\._?core\."
#: What a pickle of arrays may name; nothing of it is called, see ``Machine.reduce``.
NAMES = re.compile(
    rf"{CORE}multiarray (_reconstruct|scalar)|{CORE}numeric _frombuffer|numpy (ndarray|dtype)|_codecs encode"
    r"|(__builtin__|builtins) (bytes|bytearray)"
)
#: Types of whole numbers.
WHOLE = re.compile(r"[|<>=]?(b1|[iu][1248])")
VALUES = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
OLD_STRINGS = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PickleError(ValueError):
    """A pickle that is damaged, or asks for more than plain data."""


@dataclass(frozen=True)
class Named:
    """A global that a pickle refers to by name."""

    name: str


class Blank:
    """An array or dtype whose state follows later in the pickle."""

    value: Any = None


def read_plain(content: bytes) -> Any:
    """The object of a pickle of any protocol, if it is plain: None, numbers, text, bytes, lists, tuples, dicts, and
    arrays of whole numbers.

    Strings of Python 2 become bytes. Time and memory are bounded by the pickle's length.

    Raises:
        PickleError: it is damaged, too long, or holds anything else.
    """
    machine = Machine(len(content))
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if step >= PICKLE_STEPS:
                raise PickleError(f"it has more than {PICKLE_STEPS:,} steps")
            machine.run(opcode.name, argument)
        return whole(machine.stack[-1])
    except PickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(f"it is damaged ({type(error).__name__}: {error})") from error


def whole(value: Any) -> Any:
    """The array or the type behind a ``Blank``, or the value itself."""
    if not isinstance(value, Blank):
        return value
    if value.value is None:
        raise PickleError("it has an array without a content")
    return value.value


class Machine:
    """The part of pickle's machine that makes plain data. ``budget``: bytes that encoding text may take."""

    def __init__(self, budget: int) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.budget = budget

    def run(self, name: str, argument: Any) -> None:
        """Executes one opcode."""
        stack = self.stack
        if name in VALUES:
            stack.append(argument)
        elif name in OLD_STRINGS:
            stack.append(argument.encode("latin-1") if isinstance(argument, str) else argument)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.memo[argument])
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in TUPLES:
            stack.append(tuple(self.popped(TUPLES[name])))
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in ("TUPLE", "LIST", "DICT", "POP_MARK"):
            items = self.marked()
            if name != "POP_MARK":
                items = [whole(item) for item in items] if name == "LIST" else items
                stack.append(tuple(items) if name == "TUPLE" else items if name == "LIST" else set_items({}, items))
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else {})
        elif name in ("APPEND", "APPENDS"):
            items = self.marked() if name == "APPENDS" else self.popped(1)
            self.top(list).extend(whole(item) for item in items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self.marked() if name == "SETITEMS" else self.popped(2)
            set_items(self.top(dict), items)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(named(argument if name == "GLOBAL" else " ".join(self.popped(2))))
        elif name == "REDUCE":
            function, arguments = self.popped(2)
            stack.append(self.reduce(function, arguments))
        elif name == "BUILD":
            (state,) = self.popped(1)
            build(self.top(Blank), state)
        elif name == "POP":
            stack.pop()
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise PickleError(f"it does {name}, which plain data do not need")

    def popped(self, count: int) -> list[Any]:
        """Pops the last items of the stack."""
        start = len(self.stack) - count
        if start < 0:
            raise PickleError("it is damaged (something is missing)")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def marked(self) -> list[Any]:
        """Pops the items after the last mark."""
        return self.popped(len(self.stack) - self.marks.pop())

    def top(self, kind: type) -> Any:
        """The last item, which must be of the given type."""
        if not isinstance(self.stack[-1], kind):
            raise PickleError("it is damaged (something of another kind is filled)")
        return self.stack[-1]

    def reduce(self, function: Any, arguments: Any) -> Any:
        """Result of a call in a pickle of arrays, without executing it."""
        name = function.name if isinstance(function, Named) else "something that has no name"
        match name, arguments:
            case "_codecs encode", (str(text), "latin1" | "latin-1"):
                self.budget -= len(text)
                if self.budget < 0:
                    raise PickleError("it encodes more text than it holds")
                return text.encode("latin-1")
            case "__builtin__ bytes" | "builtins bytes", ():
                return b""
            case "__builtin__ bytearray" | "builtins bytearray", (bytes(content),):
                return content
            case "numpy dtype", (str() | bytes() as kind, *_):
                blank = Blank()
                blank.value = number_type(kind if isinstance(kind, str) else kind.decode("latin-1"))
                return blank
        match name.split(" ")[-1], arguments:
            case "_reconstruct", (Named("numpy ndarray"), *_):
                return Blank()
            case "_frombuffer", (bytes() | bytearray() as buffer, kind, shape, order):
                return array(buffer, whole(kind), shape, order)
            case "scalar", (kind, bytes(content)):
                return array(content, whole(kind), (), "C").item()
        raise PickleError(f"it calls {name.replace(' ', '.')} in a way that plain data do not need")


def named(name: str) -> Named:
    """Looks up a global; only those that arrays need are allowed."""
    if not NAMES.fullmatch(name):
        raise PickleError(f"it asks for {name.replace(' ', '.')}, which is not plain data")
    return Named(name)


def set_items(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """Adds alternating keys and values; keys must be simple, so that comparing them is fast."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, (str, bytes, int)):
            raise PickleError("it has a key that is neither text nor a number")
        target[key] = whole(value)
    return target


def build(blank: Blank, state: Any) -> None:
    """Sets the state of an array or dtype as numpy pickles it."""
    match blank.value, state:
        case None, (_, tuple(shape), kind, fortran, bytes() | bytearray() as content):
            blank.value = array(content, whole(kind), shape, "F" if fortran else "C")
        case np.dtype(), (_, "<" | "=" | "|" | b"<" | b"=" | b"|", None, None, None, *_):
            pass
        case np.dtype(), (_, ">" | b">", None, None, None, *_):
            blank.value = blank.value.newbyteorder(">")
        case _:
            raise PickleError("it has an array of another kind than whole numbers")


def number_type(name: str) -> np.dtype[Any]:
    """An integer dtype by its name."""
    if not WHOLE.fullmatch(name):
        raise PickleError(f"it has numbers of the type {name[:20]!r}")
    return np.dtype(name)


def array(content: bytes | bytearray, kind: Any, shape: Any, order: Any) -> np.ndarray:
    """An array on bytes of the pickle, of which none are copied."""
    if not isinstance(kind, np.dtype) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise PickleError("it has an array of another kind than whole numbers")
    if math.prod(shape) * kind.itemsize != len(content):
        raise PickleError(f"it has an array {shape} of {kind.itemsize} bytes each, but {len(content):,} bytes")
    return np.frombuffer(content, kind).reshape(shape, order="F" if order == "F" else "C")
