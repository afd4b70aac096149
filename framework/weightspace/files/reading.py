"""Wrapping third-party readers: whatever they raise on a damaged file becomes our error; ctrl-C stays ctrl-C."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from weightspace.errors import WeightspaceError, interrupted


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defers ctrl-C until the block has ended, normally or with an error.

    Torch's file writer aborts the process when it is interrupted, and readers report the interrupt as a damaged file.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if pressed and callable(before):
            before(*pressed[0])


@contextmanager
def reading(refuse: Callable[[Exception], Exception], passed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns whatever a reader raises on a damaged file into one error; ctrl-C is deferred and kept as it is.

    Args:
        refuse: makes the error to raise from the one that was caught.
        passed: error types that are not converted, besides those of this library.

    Raises:
        KeyboardInterrupt: ctrl-C was pressed during the block, or caused the error.
    """
    with uninterrupted():
        try:
            yield
        except Exception as error:
            if isinstance(error, (WeightspaceError, *passed)):
                raise
            if interrupted(error):
                raise KeyboardInterrupt from error
            raise refuse(error) from error


def refused_pickle(error: BaseException) -> str:
    """Explains why a pickle was refused and how to save safely; torch would advise to disable the check.

    Args:
        error: what torch raised under ``weights_only=True``.
    """
    match = re.search(r"\b(?:GLOBAL|[Gg]lobal|class|function) ([\w.]*[A-Za-z_]\w*\.\w+)", str(error))
    asked = f": {match[1]}" if match else ""
    return (
        f"its pickle asks for more than tensors and plain containers{asked}. It is not unpickled, since that can run "
        "any code. Where it can be trusted, load it and save its tensors alone: torch.save(model.state_dict(), PATH), "
        "or safetensors.torch.save_file(model.state_dict(), PATH)"
    )
