"""Downloads from a server that closes early, sends another file, never ends, knows no such file, or is not there."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from weightspace.cli.main import main
from weightspace.sources import download, fashion_mnist

CONTENT = b"0123456789" * 1000


class Server(BaseHTTPRequestHandler):
    """Answers by the first part of the address."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "404":
            self.send_error(404)
            return
        self.send_response(200)
        if kind != "endless":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        try:
            self.wfile.write(CONTENT[:-1] if kind == "short" else CONTENT)
            while kind == "endless":
                self.wfile.write(CONTENT)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Fits Fashion-MNIST from an address, where nothing of it is on this machine."""

    def run(url: str) -> int:
        monkeypatch.setenv("WEIGHTSPACE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "none")
        monkeypatch.setattr(fashion_mnist, "DOWNLOAD_URL", url)
        return main(["zoo", "fit", "--source", "fashion-mnist", "--train", "5", "--out", str(tmp_path / "z")])

    return run


@pytest.mark.timeout(60, func_only=True)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("short", "the connection was closed before the end of the file"),
        (
            "other",
            "the server sent another file: its md5 hash should be 8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        ("endless", "the server sends more than 200,000 bytes"),
        ("404", "the server answers 404 Not Found"),
        ("gone", "there is no connection to the server"),
    ],
)
def test_each_fault_is_one_message_and_nothing_stays(
    kind: str,
    reason: str,
    server: str,
    fit: Callable[[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(download, "DOWNLOAD_BYTES", 200_000)
    url = f"{server}/{kind}/"
    if kind == "gone":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    assert fit(url) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"{url}train-images-idx3-ubyte.gz could not be downloaded" in said
    assert reason in said
    assert "dataset-fashion-mnist" in said
    assert not list((tmp_path / "cache/fashion-mnist").iterdir())
    assert not (tmp_path / "z").exists()


def test_a_file_that_is_there_is_asked_for_only_if_it_is_another(server: str, tmp_path: Path) -> None:
    path, checksum = tmp_path / "new/file", f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    download.download(f"{server}/good/file", path, checksum)
    assert path.read_bytes() == CONTENT
    download.download(f"{server}/404/file", path, checksum)
    path.write_bytes(CONTENT[:-1])
    download.download(f"{server}/good/file", path, checksum)
    assert path.read_bytes() == CONTENT
