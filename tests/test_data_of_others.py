"""Commands of docs/zoo.md on published data, which cannot be had here: on small files in the same formats."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
import trimesh
from small_cnn_files import write_small_cnns
from torch import Tensor
from weightspace.cli.main import main
from weightspace.zoo import Zoo

COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(
        r"```bash\n(.*?)```", (Path(__file__).parents[1] / "docs/zoo.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for line in block.splitlines()
]


def network(seed: int, weight: str, bias: str) -> dict[str, Tensor]:
    """A state_dict 2-6-5-1; the names have a place for the layer's number."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for layer, (inputs, outputs) in enumerate(((2, 6), (6, 5), (5, 1))):
        state[weight.format(layer)] = torch.randn(outputs, inputs, generator=generator)
        state[bias.format(layer)] = torch.randn(outputs, generator=generator)
    return state


def save(state: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)


def make_inrs(root: Path, command: str) -> None:
    """Views and objects as the command's pattern has them."""
    one_view, prefix = "--view_from none" in command, "view_" if "view_{view}" in command else ""
    splits: dict[str, dict[str, list[str]]] = {name: {"path": [], "label": []} for name in ("train", "val", "test")}
    for item in range(6):
        for view in range(1 if one_view else 2):
            name = f"{prefix}{view}/object_{item}/net.pth"
            save(network(10 * item + view, "seq.{}.weight", "seq.{}.bias"), root / name)
            part = splits["test" if item == 5 else "val" if item == 4 else "train"]
            part["path"].append(f"/elsewhere/inrs/{name}")
            part["label"].append(str(item % 3))
    (root / "splits.json").write_text(json.dumps(splits))


def make_sirens(root: Path, command: str) -> None:
    for number in range(20):
        keys = ("net.{}.linear.weight", "net.{}.linear.bias")
        state = {key.replace("net.2.linear", "net.2"): t for key, t in network(number, *keys).items()}
        save(state, root / f"randinit_{number % 2}s" / f"net{number}.pth")


def make_nets(root: Path, command: str) -> None:
    rows = ["path,label"]
    for number in range(6):
        save(network(number, "{}.weight", "{}.bias"), root / f"{number}.pt")
        rows.append(f"{number}.pt,{number / 6}")
    (root.parent / "accuracy.csv").write_text("\n".join(rows))


def make_small_cnns(root: Path, command: str) -> None:
    write_small_cnns(root, trainings=14)


def make_modelnet(root: Path, command: str) -> None:
    """ModelNet40's folders; one mesh has a hole."""
    for number in range(16):
        mesh = trimesh.creation.box((1, 0.5, 0.2 + number / 20))
        path = root / ("bed" if number % 2 else "sofa") / ("train" if number < 12 else "test") / f"m_{number:04d}.off"
        path.parent.mkdir(parents=True, exist_ok=True)
        faces = mesh.faces[1:] if number == 3 else mesh.faces
        path.write_text(trimesh.Trimesh(mesh.vertices, faces).export(file_type="off"))


MAKERS = {
    "inrs": make_inrs,
    "sirens": make_sirens,
    "nets": make_nets,
    "mnist": make_small_cnns,
    "ModelNet40": make_modelnet,
}


def test_all_commands_are_known() -> None:
    assert {next(name for name in MAKERS if name in shlex.split(command)) for command in COMMANDS} == set(MAKERS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    root = next(name for name in MAKERS if name in words)
    MAKERS[root](tmp_path / root, command)
    for place, word in enumerate(words):
        if word.isdigit():  # thousands of objects there, a few here
            words[place] = str(1 + int(word) // 2500)
    if words[2] == "fit":
        words += ["--set", "steps=3", "hidden=[8]"]
    monkeypatch.chdir(tmp_path)
    assert words[0] == "weightspace"
    assert main(words[1:]) == 0
    zoo = Zoo(words[words.index("--out") + 1])
    assert len(zoo)
    assert zoo.splits.unique().numel() > 1
