"""The folder in which sources cache downloads and survey results."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`WEIGHTSPACE_CACHE`, or `~/.cache/weightspace`."""
    return Path(os.environ.get("WEIGHTSPACE_CACHE", "~/.cache/weightspace")).expanduser()
