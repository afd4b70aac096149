from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest
from weightspace.errors import ZooError
from weightspace.files import FileRefusedError, open_regular, read_json, read_regular, require_regular


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    """What is no regular file: without a writer, a fifo can be waited for for ever; a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))  # addresses are short
    return {"fifo": tmp_path / "pipe", "socket": tmp_path / "socket", "device": Path("/dev/zero"), "folder": tmp_path}


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "folder"])
@pytest.mark.parametrize("linked", [False, True])
def test_only_regular_files_are_read(kind: str, linked: bool, special: dict[str, Path], tmp_path: Path) -> None:
    path = special[kind]
    if linked:
        path = tmp_path / "link"
        path.symlink_to(special[kind])
    for read in (require_regular, open_regular, lambda path: read_regular(path, 100)):
        with pytest.raises(FileRefusedError, match=f"is a {kind}, not a regular file") as refused:
            read(path)
        assert str(refused.value) == f"{path}: is a {kind}, not a regular file"


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 7) == b"content"
    assert require_regular(tmp_path / "link") == 7


def test_larger_files_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(FileRefusedError, match=r"10,000,000,000 bytes are too many \(at most 1,000\)"):
            read_regular(path, 1000)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_a_file_that_holds_more_than_it_says_is_refused() -> None:
    with pytest.raises(FileRefusedError, match="more than the 0 bytes that it claims"):
        read_regular(Path("/proc/self/maps"), 1000)


def test_what_is_not_there_is_said_as_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_regular(tmp_path / "nothing", 10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"", "no JSON, or damaged"),
        (b'{"a": ', "no JSON, or damaged"),
        (b"\xff\xfe", "no JSON, or damaged"),
        (b"[" * 1_000_000, "nested too deep"),
        (b'{"a":' * 1_000_000, "nested too deep"),
        (b"[1]", "as a JSON object; found list"),
        (b"7" * 5_000, "no JSON, or damaged"),
        (b"{}" + b" " * 1_000, "1,002 bytes are too many"),
    ],
)
def test_what_is_no_json_object_is_said_in_one_message(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZooError) as refused:
        read_json(path, ZooError, "a thing", limit=1_000 if reason.startswith("1,002") else 10_000_000)
    assert str(refused.value).startswith(f"{path} should be a thing")
    assert reason in str(refused.value)


def test_a_json_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": ["ü"]}', encoding="utf-8")
    assert read_json(tmp_path / "x.json", ZooError, "a thing") == {"a": ["ü"]}
