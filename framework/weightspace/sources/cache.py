"""Where sources keep what they have fetched or found out."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`WEIGHTSPACE_CACHE`, or `~/.cache/weightspace`."""
    return Path(os.environ.get("WEIGHTSPACE_CACHE", "~/.cache/weightspace")).expanduser()
