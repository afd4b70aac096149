"""Arguments of constructors as plain data, which files of saved weights contain."""

from __future__ import annotations

import json
import os
from numbers import Integral, Real
from typing import Any


def plain(value: Any) -> Any:
    """Converts a value to what JSON can represent; NumPy's numbers become Python's, and paths become text.

    Raises:
        TypeError, ValueError: JSON cannot represent it.

    >>> import numpy, pathlib
    >>> plain({"hidden": numpy.int64(16), "file": pathlib.Path("runs/mine")})
    {'hidden': 16, 'file': 'runs/mine'}
    """
    return json.loads(json.dumps(value, default=_converted))


def _converted(value: Any) -> Any:
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    return os.fspath(value)
