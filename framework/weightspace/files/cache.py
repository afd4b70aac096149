"""The user's cache folder: downloads, results of surveys, and compiled code."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`WEIGHTSPACE_CACHE`, or `~/.cache/weightspace`."""
    return Path(os.environ.get("WEIGHTSPACE_CACHE", "~/.cache/weightspace")).expanduser()


def keep_compiled_code() -> None:
    """Lets torch's compiler keep its results in `compiled` of the cache folder, which outlives a reboot and a job.

    `TORCHINDUCTOR_CACHE_DIR` names another folder. Where the cache folder cannot be written, torch takes its own, in
    the folder for temporary files.
    """
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
