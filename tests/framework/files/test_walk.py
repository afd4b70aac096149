from __future__ import annotations

import os
from pathlib import Path

import pytest
from weightspace.errors import SourceError
from weightspace.files.walk import walk

PNG = frozenset({".png"})


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("root/b/1.png", "elsewhere/2.png", "elsewhere/sub/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (root / "a").symlink_to(root / "b")
    (root / "b/up").symlink_to(tmp_path)
    (root / "b/self").symlink_to(root / "b/self")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "d").symlink_to(tmp_path / "elsewhere/sub")
    (root / "e.png").symlink_to(root / "b/1.png")
    (root / "f.png").symlink_to(root / "nothing")
    (root / "g.png").mkdir()
    (root / "g.png/4.png").write_text("")
    os.mkfifo(root / "h.png")
    found = walk(root, PNG, SourceError)
    assert found.files == ["b/1.png", "c/2.png", "c/sub/3.png", "e.png", "g.png/4.png"]
    assert dict(found.left_out) == {
        "a": "a link to what is known already: b",
        "b/self": "of another kind than .png",
        "b/up": "a link to what is known already: the folder itself, or one above it",
        "d": "a link to what is known already: c/sub",
        "f.png": "a link to nothing",
        "h.png": "not a regular file",
    }


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none: cannot be read"):
        walk(tmp_path / "none", PNG, SourceError)
