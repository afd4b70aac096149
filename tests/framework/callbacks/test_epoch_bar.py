"""The bar of an epoch, in a terminal of 80 columns."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main


def test_the_bar_is_one_line_and_the_lines_of_the_epochs_stay(
    tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": backbone}},
        "data": {"zoo": str(digits_zoo), "batch_size": 20},
        "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    }
    Path("x.yaml").write_text(yaml.safe_dump(config))
    ours, theirs = os.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 1 << 16):
                seen.append(part)
        except OSError:  # the other side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    with open(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        code = main(["fit", "-c", "x.yaml"])
    reader.join()
    os.close(ours)
    assert code == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(seen).decode())
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    bars = [line for line in lines if "━" in line and "it/s" in line]
    assert any(line.startswith("epoch 2/2 ") for line in bars)
    assert all(len(line) <= 80 for line in bars)
    assert [line for line in bars if not re.search(r"it/s( loss: \d+\.\d+)?$", line)] == []
    assert any("loss: " in line for line in bars)
    assert [line.split(":")[0] for line in lines if "train/accuracy" in line][:2] == ["epoch 1/2", "epoch 2/2"]
