"""Locks that end with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from weightspace.errors import ConfigError
from weightspace.files.lock import Lock

HOLD = (
    "import sys, time; from pathlib import Path; from weightspace.files.lock import Lock; "
    "lock = Lock(Path(sys.argv[1]));"
)


@contextmanager
def holder(path: Path, then: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock; it is killed at the end."""
    code = f"{HOLD}lock.acquire(); {then}print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_until_the_holder_is_gone_however_it_ends(tmp_path: Path) -> None:
    lock = Lock(tmp_path / ".lock", ConfigError("busy"))
    with holder(lock.path), pytest.raises(ConfigError, match="busy"):
        lock.acquire()
    lock.acquire()
    lock.acquire()  # this object has it
    with pytest.raises(ConfigError, match="busy"):
        Lock(lock.path, ConfigError("busy")).acquire()
    lock.release()
    with Lock(lock.path, ConfigError("busy")):
        assert list(tmp_path.iterdir()) == [lock.path]


def test_a_process_that_the_holder_forked_does_not_keep_the_lock(tmp_path: Path) -> None:
    # the holder waits until the other process runs
    fork = "import os; r, w = os.pipe(); os.fork() or (os.write(w, b'x'), time.sleep(5), os._exit(0)); os.read(r, 1); "
    with holder(tmp_path / ".lock", fork) as process:
        process.kill()
        process.wait()
        with Lock(tmp_path / ".lock", ConfigError("busy")):
            pass


def test_a_file_system_without_locks_is_told_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Lock(tmp_path / ".lock", ConfigError("busy")):
        assert "knows no locks" in capsys.readouterr().err
