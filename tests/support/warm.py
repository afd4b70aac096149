"""Starting commands quickly, by forking a process that has already imported torch and lightning."""

from __future__ import annotations

import multiprocessing
import os
import resource
import runpy
import signal
import socket
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["weightspace.cli.run", "weightspace.cli.zoo"])


class WarmCommand:
    """Runs ``weightspace ARGUMENTS`` as a process, with those methods of ``subprocess.Popen`` that tests use.

    It is a real process, which can be killed at any time and shares only the code of modules with the tests.

    Args:
        arguments: arguments after ``weightspace``.
        file_size: largest size of files in bytes, which simulates a full disk.
        environment: environment variables in addition to those of the tests.
        script: a Python file that is run with the arguments instead of ``weightspace``.

    Attributes:
        pid: process id.
        returncode: exit code after ``communicate``; the negative number of a signal if one ended the process.
    """

    def __init__(
        self,
        *arguments: str,
        file_size: int | None = None,
        environment: dict[str, str] | None = None,
        script: str | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.out, self.err = (Path(self._folder.name) / name for name in ("out", "err"))
        outputs = (str(self.out), str(self.err))
        given = (arguments, os.getcwd(), {**os.environ, **(environment or {})}, outputs, file_size, script)
        self._process: BaseProcess = _CONTEXT.Process(target=_run, args=given)
        for path in (self.out, self.err):
            path.touch()
        self._process.start()
        assert self._process.pid is not None
        self.pid, self.returncode = self._process.pid, None

    def poll(self) -> int | None:
        """Returns the exit code, or None while the process runs."""
        return self._process.exitcode

    def wait_for(self, text: str) -> None:
        """Waits until the process has written a text to standard output."""
        while text not in self.out.read_text():
            assert self.poll() is None, f"ended without {text!r}: {self.communicate()}"
            time.sleep(0.002)

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 100) -> tuple[str, str]:
        """Waits for the end of the process; returns its standard output and standard error."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"still running after {timeout} s"
        self.returncode = self._process.exitcode
        return self.out.read_text(), self.err.read_text()

    def __enter__(self) -> WarmCommand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


def warm_ranks(world: int, *arguments: str) -> list[WarmCommand]:
    """Runs ``weightspace ARGUMENTS`` as several processes of one run, with the environment variables of torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    size = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "warm"}
    ranks = ({"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world))
    return [WarmCommand(*arguments, environment={**address, **size, **rank}) for rank in ranks]


def _run(
    arguments: tuple[str, ...],
    folder: str,
    environment: dict[str, str],
    outputs: tuple[str, str],
    file_size: int | None,
    script: str | None,
) -> None:
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    multiprocessing.set_start_method("fork", force=True)  # as in a process started by a shell
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    rank_zero_only.rank = int(environment.get("RANK", 0))  # Lightning sets it when it is imported
    if script is not None:
        sys.argv = [script, *arguments]
        runpy.run_path(script, run_name="__main__")
        return
    # by which Lightning starts further processes
    sys.argv = [str(Path(sys.executable).with_name("weightspace")), *arguments]
    from weightspace.cli.main import main

    sys.exit(main())
