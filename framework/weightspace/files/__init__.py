"""Reading and writing files: whole or not at all, regular files only, nothing unpickled, within limits.

Internal: may change in any release.
"""

from weightspace.files.whole import (
    FULL,
    JSON_LIMIT,
    DiskFullError,
    FileRefusedError,
    hold,
    open_regular,
    parse_json,
    read_json,
    read_regular,
    remove_leftover,
    require_regular,
    space_for,
    whole_file,
    write_whole,
)

__all__ = [
    "FULL",
    "JSON_LIMIT",
    "DiskFullError",
    "FileRefusedError",
    "hold",
    "open_regular",
    "parse_json",
    "read_json",
    "read_regular",
    "remove_leftover",
    "require_regular",
    "space_for",
    "whole_file",
    "write_whole",
]
