from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from weightspace.errors import ConfigError
from weightspace.files.reading import reading, refused_pickle, uninterrupted


def refuse(error: Exception) -> ConfigError:
    return ConfigError(f"damaged: {error}")


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_until_the_reader_is_done() -> None:
    done = []

    def read() -> None:
        with reading(refuse):
            press()
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        read()
    assert done
    with pytest.raises(KeyboardInterrupt):
        press()


@pytest.mark.parametrize("block", [lambda: reading(refuse), uninterrupted])
def test_ctrl_c_is_not_lost_where_the_file_is_damaged(block: Callable[[], AbstractContextManager[None]]) -> None:
    def read() -> None:
        with block():
            press()
            raise ValueError("no such record")

    with pytest.raises(KeyboardInterrupt):
        read()


def test_an_error_that_ctrl_c_has_caused_is_ctrl_c() -> None:
    def read() -> None:
        with reading(refuse):
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise ValueError("cannot be read")  # noqa: B904 - as readers do it

    with pytest.raises(KeyboardInterrupt):
        read()


def test_errors() -> None:
    with pytest.raises(ConfigError, match="^damaged: cut short$"), reading(refuse):
        raise EOFError("cut short")
    with pytest.raises(ConfigError, match="^said already$"), reading(refuse):
        raise ConfigError("said already")
    with pytest.raises(MemoryError), reading(refuse, passed=(MemoryError,)):
        raise MemoryError


def test_in_another_thread_nothing_waits() -> None:
    raised: list[BaseException] = []

    def read() -> None:
        try:
            with reading(refuse):
                raise EOFError("cut short")
        except ConfigError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert len(raised) == 1


class Payload:
    def __reduce__(self):
        return os.mkdir, ("never",)


@pytest.mark.parametrize(
    ("content", "name"), [(Payload(), "posix.mkdir"), (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear")]
)
def test_a_refused_pickle_is_told_with_the_safe_way(tmp_path: Path, content: object, name: str) -> None:
    torch.save({"state_dict": content}, tmp_path / "x.pth")
    with pytest.raises(Exception, match=name) as caught:
        torch.load(tmp_path / "x.pth", weights_only=True)
    text = refused_pickle(caught.value)
    assert f"containers: {name}. It is not unpickled" in text
    assert "torch.save(model.state_dict(), PATH)" in text
    assert "weights_only" not in text
    assert not Path("never").exists()
