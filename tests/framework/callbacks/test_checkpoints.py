"""Runs that are killed, terminated, or given damaged files: real processes, real signals, real bytes."""

from __future__ import annotations

import functools
import http.server
import os
import pickle
import signal
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from warm import WarmCommand
from weightspace.cli.main import main
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from weightspace.runs.folder import RunFolder

pytestmark = pytest.mark.processes

COMMAND = ["fit", "-c", "cut.yaml"]
LAST_STEP = 3 * 23  # 3 epochs of 180 networks in batches of 8


def write_experiment(path: Path, zoo: Path) -> Path:
    """Draws of every kind: order, augmentations with a state, dropout."""
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1, "dropout": 0.3}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {
            "zoo": str(zoo),
            "batch_size": 8,
            "augmentations": ["sign_flip", {"gaussian_noise": {"scale": 0.4, "ramp_epochs": 3}}, "mixup"],
        },
        "trainer": {"max_epochs": 3, "accelerator": "cpu"},
        "checkpoints": {"every_n_steps": 5, "keep": 3},
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def experiment(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The experiment, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return write_experiment(tmp_path / "cut.yaml", digits_zoo)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, digits_zoo: Path) -> str:
    """The folder of its run that nothing has cut, in one process and without workers."""
    folder = tmp_path_factory.mktemp("whole")
    path = write_experiment(folder / "cut.yaml", digits_zoo)
    assert main(["fit", "-c", str(path), "--experiment", "cut", "--runs", str(folder)]) == 0
    return str(folder)


def weights(runs: str) -> dict[str, torch.Tensor]:
    folder = RunFolder(Path(runs) / "cut" / "0")
    assert folder.checkpoint("last") == folder.step(LAST_STEP)
    state: dict[str, torch.Tensor] = torch.load(folder.checkpoint("last"), weights_only=True)["state_dict"]
    return state


def assert_equal_weights(first: str, second: str) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def signalled(number: signal.Signals, when: Callable[[], bool], *options: str) -> tuple[int, str]:
    """Runs the command, sends the signal as soon as ``when`` holds; returns exit code and what it said."""
    with WarmCommand(*COMMAND, *options) as running:
        while running.poll() is None and not when():
            time.sleep(0.0002)
        assert running.poll() is None, f"ended before it could be cut: {running.communicate()[1]}"
        running.send_signal(number)
        _, said = running.communicate()
    assert running.returncode is not None
    return running.returncode, said


def step_is_there(runs: str, step: int) -> Callable[[], bool]:
    """Whether a run has come so far."""
    folder = RunFolder(Path(runs) / "cut" / "0")
    return lambda: any(path >= folder.step(step) for path in folder.steps())


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.long)])
def test_a_run_that_is_killed_several_times_comes_to_the_weights_of_one_that_is_not(
    experiment: Path, whole: str, workers: str
) -> None:
    options = ["--data.num_workers", workers, "--auto_resume", "true"]
    for step in (5, 30, 46):  # in the first epoch, in the second, at an epoch's end
        assert signalled(signal.SIGKILL, step_is_there("cut", step), *options, "--runs", "cut")[0] == -signal.SIGKILL
        assert not Path("cut/cut/0/metrics.json").exists()
    assert main(["fit", "-c", "cut.yaml", *options, "--runs", "cut"]) == 0
    assert_equal_weights(whole, "cut")


def test_a_run_that_is_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    experiment: Path, whole: str
) -> None:
    folder = RunFolder(Path("cut/cut/0"))
    options = ["--checkpoints.every_n_steps", "1", "--runs", "cut"]

    def writes() -> bool:
        return len(folder.steps()) > 1 and any(
            name.endswith(".tmp") and name.startswith(".step") for name in os.listdir(folder.checkpoints)
        )

    for _ in range(20):  # the write may end between the look and the signal
        assert signalled(signal.SIGKILL, writes, *options, "--overwrite", "true")[0] == -signal.SIGKILL
        leftover = list(folder.checkpoints.glob(".step*.tmp"))
        if leftover:
            break
    assert len(leftover) == 1
    assert main(["fit", "-c", "cut.yaml", *options, "--ckpt_path", "last"]) == 0
    assert not list(folder.checkpoints.glob(".*"))
    assert_equal_weights(whole, "cut")


def test_sigterm_saves_and_exits_with_143(experiment: Path, whole: str) -> None:
    options = ["--checkpoints.every_n_steps", "null", "--runs", "cut"]
    code, said = signalled(signal.SIGTERM, step_is_there("cut", 23), *options)
    assert code == 143
    (end,) = RunFolder(Path("cut/cut/0")).steps()[1:]
    assert 23 < int(end.stem.removeprefix("step-")) < 46
    assert f"terminated (SIGTERM), and saved as {end}" in " ".join(said.split())
    assert main(["fit", "-c", "cut.yaml", *options, "--auto_resume", "true"]) == 0
    assert_equal_weights(whole, "cut")


@pytest.mark.parametrize("process", [pytest.param("first", marks=pytest.mark.long), "second"])
def test_two_processes_answer_a_signal_to_one_of_them_together(
    experiment: Path, process: str, children: Callable[[int], list[int]]
) -> None:
    options = ["--trainer.devices", "2", "--checkpoints.every_n_steps", "null"]
    folder = RunFolder(Path("cut/cut/0"))
    with WarmCommand(*COMMAND, *options, "--runs", "cut") as running:
        while not folder.steps():
            assert running.poll() is None
            time.sleep(0.001)
        started = children(running.pid)
        second = next(c for c in started if b"weightspace" in Path(f"/proc/{c}/cmdline").read_bytes())
        os.kill(running.pid if process == "first" else second, signal.SIGTERM)
        _, said = running.communicate()
    assert running.returncode == 143, said
    assert said.count("terminated (SIGTERM)") == 1
    steps = [int(path.stem.removeprefix("step-")) for path in folder.steps()]
    assert steps[0] == 12
    assert 12 < steps[-1] < 24
    assert main(["fit", "-c", "cut.yaml", "--runs", "cut", "--ckpt_path", "last"]) == 2  # one process: another order


def test_damaged_checkpoints_are_refused_and_the_one_before_is_named(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", "cut.yaml", "--trainer.max_epochs", "1", "--checkpoints.keep", "9"]) == 0
    *_, before, last = RunFolder(Path("runs/cut/0")).steps()
    whole = last.read_bytes()
    with zipfile.ZipFile(last) as archive:
        tensor = max(archive.infolist(), key=lambda entry: entry.file_size)
    altered = bytearray(whole)
    altered[tensor.header_offset + 200] ^= 1  # one bit of its numbers: torch alone would take it
    go_on = ["fit", "-c", "cut.yaml", "--ckpt_path", "last"]
    for content, message in [
        (whole[: len(whole) // 2], "File is not a zip file"),
        (bytes(altered), "the checksum of"),
        (b"", "File is not a zip file"),
    ]:
        last.write_bytes(content)
        capsys.readouterr()
        assert main(go_on) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert message in said
        assert said.endswith(f"The one before it is intact: {before}")
    assert main(["fit", "-c", "cut.yaml", "--ckpt_path", str(before)]) == 0
    assert not last.exists() or last.read_bytes() != b""


class Payload:
    """What would be run by a loader that unpickles."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("unpickled",)


@pytest.fixture
def address(experiment: Path):
    """Serves the working directory."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(experiment.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_checkpoints_from_an_address_and_none_is_unpickled(
    experiment: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", "cut.yaml", "--trainer.max_epochs", "1"]) == 0
    test = ["test", "-c", "cut.yaml", "--ckpt_path"]
    assert main([*test, f"{address}/runs/cut/0/checkpoints/best.ckpt"]) == 0
    torch.save({"state_dict": Payload()}, "evil.ckpt")
    Path("old.ckpt").write_bytes(pickle.dumps({"state_dict": Payload()}))
    for path, message in [
        ("evil.ckpt", "It is not unpickled, since that can run any code"),
        (f"{address}/evil.ckpt", "It is not unpickled, since that can run any code"),
        ("old.ckpt", "File is not a zip file"),
        (f"{address}/none.ckpt", "is not a readable checkpoint"),
    ]:
        capsys.readouterr()
        assert main([*test, path]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
        with pytest.raises(ConfigError):  # what a Trainer in a script does
            AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not Path("unpickled").exists()


def test_what_the_options_must_be(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in [
        (["--checkpoints.every_n_steps", "0"], "checkpoints.every_n_steps must be at least 1, found 0"),
        (["--checkpoints.keep", "0"], "checkpoints.keep must be at least 1, found 0"),
        (["--nonfinite", "ignore"], "nonfinite must be stop or skip, found 'ignore'"),
    ]:
        assert main(["fit", "-c", "cut.yaml", *options]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("runs").exists()


def test_only_the_newest_are_kept_and_those_of_an_abandoned_continuation_are_not(experiment: Path) -> None:
    assert main(["fit", "-c", "cut.yaml", "--trainer.max_epochs", "2"]) == 0
    folder = RunFolder(Path("runs/cut/0"))
    assert [path.name for path in folder.steps()] == [folder.step(step).name for step in (40, 45, 46)]
    back = ["--ckpt_path", str(folder.step(40)), "--trainer.max_steps", "42"]
    assert main(["fit", "-c", "cut.yaml", "--trainer.max_epochs", "2", *back]) == 0
    assert folder.checkpoint("last") == folder.step(42)


def test_ctrl_c_waits_for_a_checkpoint(tmp_path: Path) -> None:
    class Pressed:
        """Presses ctrl-C while it is written."""

        def __reduce__(self) -> tuple[type, tuple[()]]:
            os.kill(os.getpid(), signal.SIGINT)
            return OrderedDict, ()

    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.ones(3)}, "b": Pressed()}, tmp_path / "x.ckpt")
    assert torch.equal(read_checkpoint(tmp_path / "x.ckpt")["state_dict"]["a"], torch.ones(3)), "the file is whole"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


SECOND = """
from lightning.pytorch import Callback
from weightspace.cli.main import main

OPTIONS = ([], ["--auto_resume", "true"], ["--ckpt_path", "last"], ["--overwrite", "true"])

class Second(Callback):
    codes = []

    def on_train_end(self, trainer, module):
        self.codes += [main(["fit", "-c", "cut.yaml", *options]) for options in OPTIONS]
"""


def test_a_second_training_in_a_folder_is_refused_before_it_writes_anything(
    experiment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("second.py").write_text(SECOND)
    monkeypatch.syspath_prepend(str(experiment.parent))
    first = ["fit", "-c", "cut.yaml", "--trainer.max_epochs", "1"]
    assert main([*first, "--trainer.callbacks+=second.Second"]) == 0
    import second

    assert second.Second.codes == [2, 2, 2, 2]
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("another process is training in runs/cut/0: wait for it, stop it, or choose another") == 4
    assert yaml.safe_load(Path("runs/cut/0/config.yaml").read_text())["trainer"]["max_epochs"] == 1
    assert main([*first, "--overwrite", "true"]) == 0  # it ends with the training


def test_metrics_that_commands_write_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    names = [f"command {number}" for number in range(40)]
    threads = [threading.Thread(target=folder.add_metrics, args=(name, {"loss": 1.0})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(folder.read_metrics()) == set(names)
