"""Readers of files that raise anything: what they raise becomes an error of ours, and ctrl-C stays ctrl-C."""

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
    """Lets ctrl-C wait until the block is over, whether it ends well or in an error.

    Torch's writer of files aborts the process if it is cut short, and readers make errors of the file of it.
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
    """Turns whatever a reader raises on a damaged file into an error of ours, but no ctrl-C, which waits for it.

    Args:
        refuse: makes the error: (what was raised) -> error.
        passed: errors that stay as they are, besides those of this library.

    Raises:
        KeyboardInterrupt: ctrl-C was pressed meanwhile, or is behind an error.
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
    """Why a pickle was refused, and the safe way, in place of torch's advice to turn the guard off.

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
