from __future__ import annotations

import csv
import json
import os
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from convolved_networks import SHAPES, convolved, module_of
from torch import Tensor, nn
from weightspace.cli.main import main
from weightspace.errors import ZooError
from weightspace.fitting.verify import verify
from weightspace.importing.files import dwsnets
from weightspace.importing.job import ZooImport, common_chain
from weightspace.network import evaluate, grid
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, write_zoo


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * x)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * self.linear(x))


def siren(seed: int, widths: tuple[int, ...] = (2, 6, 5, 1)) -> nn.Sequential:
    """A plain SIREN without the constant at its output; its state_dict has the keys 0.weight, 0.bias, 2.weight, ..."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs), Sine()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def as_published(network: nn.Sequential) -> dict[str, Tensor]:
    """With the published keys: seq.0.weight, seq.0.bias, seq.1.weight, ..."""
    tensors = list(network.state_dict().values())
    return {f"seq.{i // 2}.{'bias' if i % 2 else 'weight'}": tensor for i, tensor in enumerate(tensors)}


def save(data: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(data, path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two views of six objects in the multi-view layout, with absolute paths of another machine."""
    root = tmp_path / "inrs"
    splits: dict[str, dict[str, list]] = {name: {"path": [], "label": []} for name in ("train", "val", "test")}
    for item in range(6):
        for view in range(2):
            name = f"{view}/shoe_{item}/net.pth"
            save(as_published(siren(10 * item + view)), root / name)
            part = splits["test" if item == 5 else "val" if item == 4 else "train"]
            part["path"].append(f"/home/somebody/data/inrs/{name}")
            part["label"].append(str(item % 3))
    (root / "inr_splits.json").write_text(json.dumps(splits))
    return root


def test_dwsnets(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "zoo"
    assert main(["zoo", "import", str(tree), "--format", "dwsnets", "--out", str(out)]) == 0
    assert "12 networks" in capsys.readouterr().out
    zoo = Zoo(out)
    assert zoo.spec == NetworkSpec((2, 6, 5, 1), "sine", 30.0, 0.5)
    assert zoo.objects.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert zoo.views.tolist() == [0, 1] * 6
    assert zoo.splits.tolist() == [0] * 8 + [1] * 2 + [2] * 2
    assert zoo.targets.tolist() == [i % 3 for i in range(6) for _ in range(2)]
    assert zoo.class_names == ["0", "1", "2"]
    assert any("PSNR not checked" in line for line in verify(zoo, sample=5))
    x = grid(7, 9)
    with torch.no_grad():
        images = torch.stack([siren(10 * i + v)(x) + 0.5 for i in range(6) for v in range(2)])
    torch.testing.assert_close(evaluate(zoo.batch(torch.arange(12)), x), images, rtol=0, atol=1e-4)
    assert main(["zoo", "info", str(out)]) == 0
    assert "imported (dwsnets)" in capsys.readouterr().out
    assert main(["zoo", "import", str(tree), "--format", "dwsnets", "--out", str(out)]) == 0
    assert "finished already" in capsys.readouterr().out


def test_dwsnets_without_views_and_labels_in_the_files(tmp_path: Path) -> None:
    root = tmp_path / "inrs"
    for item in range(4):
        save(
            {**as_published(siren(item)), "label": torch.tensor(item % 2)},
            root / f"mnist_{item}" / "checkpoints" / "net.pth",
        )
    paths = [f"mnist_{item}/checkpoints/net.pth" for item in range(4)]
    (root / "splits.json").write_text(json.dumps({"train": paths[:3], "validation": paths[3:]}))
    arguments = ["zoo", "import", str(root), "--format", "dwsnets", "--view_from", "none", "--out", str(tmp_path / "z")]
    assert main(arguments) == 0
    zoo = Zoo(tmp_path / "z")
    assert (zoo.targets.tolist(), zoo.class_names, zoo.splits.tolist()) == ([0, 1, 0, 1], ["0", "1"], [0, 0, 0, 1])


def test_one_view_layout_read_as_many_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "inrs"
    for item in range(4):
        save(as_published(siren(item)), root / f"mnist_{item}" / "net.pth")
    paths = [f"mnist_{item}/net.pth" for item in range(4)]
    (root / "splits.json").write_text(json.dumps({"train": {"path": paths, "label": [0, 1, 0, 1]}}))
    assert main(["zoo", "import", str(root), "--format", "dwsnets", "--out", str(tmp_path / "z")]) == 2
    assert "view_from, as 'view_{view}/', or 'none'" in capsys.readouterr().err
    assert not (tmp_path / "z").exists()


class Payload:
    """A pickle that makes a file when it is loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def damage(tree: Path, trap: Path) -> None:
    """Six kinds of networks that do not fit."""
    save(as_published(siren(0, (2, 6, 6, 1))), tree / "0/shoe_0/net.pth")
    broken = as_published(siren(1))
    broken["seq.1.bias"][2] = torch.nan
    save(broken, tree / "1/shoe_0/net.pth")
    save({"seq.0.weight": Payload(trap)}, tree / "0/shoe_1/net.pth")
    (tree / "1/shoe_1/net.pth").unlink()
    shutil.copy(tree / "0/shoe_2/net.pth", tree / "1/shoe_2/net.pth")
    (tree / "0/shoe_3/net.pth").write_bytes(b"not a network")


def test_what_does_not_fit_is_listed(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trap = tmp_path / "trap"
    damage(tree, trap)
    splits = json.loads((tree / "inr_splits.json").read_text())
    splits["train"]["path"].append(splits["train"]["path"][7])
    splits["train"]["label"].append(splits["train"]["label"][7])
    (tree / "inr_splits.json").write_text(json.dumps(splits))
    command = ["zoo", "import", str(tree), "--format", "dwsnets", "--out", str(tmp_path / "z")]
    assert main(command) == 0
    assert not trap.exists(), "the payload of a pickle has run"
    zoo = Zoo(tmp_path / "z")
    reasons = {network["path"]: network["reason"] for network in zoo.header.left_out}
    expected = {
        "0/shoe_0/net.pth": "another architecture: 2-6-6-1",
        "1/shoe_0/net.pth": "not finite",
        "0/shoe_1/net.pth": "refused: its pickle asks for more than tensors",
        "/home/somebody/data/inrs/1/shoe_1/net.pth": "no such file",
        "1/shoe_2/net.pth": "duplicate: the same weights as object 2, view 0",
        "0/shoe_3/net.pth": "not a readable file",
        "1/shoe_3/net.pth": "duplicate: listed twice",
    }
    assert reasons.keys() == expected.keys()
    for path, reason in expected.items():
        assert reason in reasons[path]
    assert zoo.objects.tolist() == [2, 3, 4, 4, 5, 5]
    assert list(verify(zoo, sample=5))


def test_strict_makes_it_an_error(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(tree, tmp_path / "trap")
    command = ["zoo", "import", str(tree), "--format", "dwsnets", "--strict", "true", "--out", str(tmp_path / "z")]
    assert main(command) == 2
    assert "strict: 1 networks do not fit, first /home/somebody/data/inrs/1/shoe_1/net.pth" in capsys.readouterr().err
    save(as_published(siren(11)), tree / "1/shoe_1/net.pth")
    assert main(command) == 2
    assert "0/shoe_0/net.pth does not fit: another architecture" in capsys.readouterr().err
    with pytest.raises(ZooError, match="unfinished"):
        Zoo(tmp_path / "z")


def test_a_cut_import_goes_on_and_ends_in_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    def job(out: Path) -> ZooImport:
        listing = dwsnets(tree)
        listing.divide(0, 0, 0)
        listing.sort_and_deduplicate()
        spec = NetworkSpec(common_chain(listing).widths, "sine", 30.0, 0.5)
        run = ZooImport(listing, spec, out, "class", {"imported": {"format": "dwsnets"}}, {})
        run.shard_rows = 5
        return run

    def cut(state) -> None:
        if state.done == 10:
            raise KeyboardInterrupt

    shutil.copy(tree / "0/shoe_2/net.pth", tree / "1/shoe_4/net.pth")  # a duplicate of a shard that is taken over
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "cut").run(cut)
    first = (tmp_path / "cut/shards/00000.safetensors").stat().st_mtime_ns
    job(tmp_path / "cut").run(lambda state: None)
    assert (tmp_path / "cut/shards/00000.safetensors").stat().st_mtime_ns == first, "a whole shard is taken over"
    job(tmp_path / "whole").run(lambda state: None)
    for name in ("zoo.json", "shards/00000.safetensors", "shards/00001.safetensors", "shards/00002.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert Zoo(tmp_path / "cut").header.left_out[0]["reason"] == "duplicate: the same weights as object 2, view 0"


@pytest.fixture
def nfn_tree(tmp_path: Path) -> Path:
    root = tmp_path / "sirens"
    for number in range(5):
        for copy in ("", "_aug0", "_aug1"):
            network = nn.Sequential(Block(2, 6), Block(6, 5), nn.Linear(5, 3))
            state = {f"net.{key}": tensor for key, tensor in network.state_dict().items()}
            assert "net.0.linear.weight" in state
            save(state, root / f"randinit{copy}_{number % 2}s" / f"net{number}.pth")
    return root


def test_nfn(nfn_tree: Path, tmp_path: Path) -> None:
    command = [
        "zoo",
        "import",
        str(nfn_tree),
        "--format",
        "nfn",
        "--out",
        str(tmp_path / "z"),
        "--val",
        "1",
        "--test",
        "1",
    ]
    assert main(command) == 0
    zoo = Zoo(tmp_path / "z")
    assert zoo.objects.tolist() == [i for i in range(5) for _ in range(3)]
    assert zoo.views.tolist() == [0, 1, 2] * 5
    assert zoo.splits.tolist() == [0] * 9 + [1] * 3 + [2] * 3
    assert zoo.targets.tolist() == [i % 2 for i in range(5) for _ in range(3)]
    assert zoo.header.provenance["value_range"] == [-1.0, 1.0]
    network = nn.Sequential(Block(2, 6), Block(6, 5), nn.Linear(5, 3))
    state = torch.load(nfn_tree / "randinit_aug1_1s" / "net3.pth", weights_only=True)
    network.load_state_dict({key.removeprefix("net."): tensor for key, tensor in state.items()})
    x = grid(5, 5)
    with torch.no_grad():
        torch.testing.assert_close(evaluate(zoo.batch(torch.tensor([11])), x)[0], network(x))


def test_nfn_of_several_prefixes(nfn_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save({}, nfn_tree / "test_3s" / "net9.pth")
    save({}, nfn_tree / "elsewhere.pth")
    command = ["zoo", "import", str(nfn_tree), "--format", "nfn", "--out", str(tmp_path / "z")]
    assert main(command) == 2
    assert "choose one by prefix randinit or test" in capsys.readouterr().err
    assert main([*command, "--prefix", "randinit"]) == 0
    assert len(Zoo(tmp_path / "z")) == 15


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Deep tanh networks in folders named after their class; safetensors keep keys in alphabetical order."""
    root = tmp_path / "nets"
    widths = (3, *[4] * 11, 2)
    for item in range(6):
        name = root / ("cat" if item % 2 else "dog") / f"net_{item}.safetensors"
        name.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(as_published(siren(item, widths)), name)
    return root


FOLDER = ["--format", "folder", "--activation", "tanh", "--test", "2"]


def test_folder_with_classes_of_folders(files: Path, tmp_path: Path) -> None:
    assert main(["zoo", "import", str(files), *FOLDER, "--out", str(tmp_path / "z")]) == 0
    zoo = Zoo(tmp_path / "z")
    assert zoo.class_names == ["cat", "dog"]
    assert zoo.splits.bincount().tolist() == [4, 0, 2]
    expected = {float(as_published(siren(i, (3, *[4] * 11, 2)))["seq.11.weight"][1, 2]) for i in range(6)}
    found = zoo.batch(torch.arange(6)).weights[-1][:, 1, 2]
    assert set(found.tolist()) == expected


def test_folder_with_a_regular_expression(files: Path, tmp_path: Path) -> None:
    command = ["zoo", "import", str(files), *FOLDER, "--target", "value", "--label_regex", r".*net_(\d+)"]
    assert main([*command, "--out", str(tmp_path / "z")]) == 0
    assert sorted(Zoo(tmp_path / "z").targets.flatten().tolist()) == [0, 1, 2, 3, 4, 5]


def test_a_bad_label_among_vectors_is_left_out_alone(files: Path, tmp_path: Path) -> None:
    names = ("nan", "0.5 1.5", "0.5 2.5", "0.5 3.5", "0.5 4.5", "0.5 5.5")
    rows = [f"{'cat' if i % 2 else 'dog'}/net_{i}.safetensors,{label}" for i, label in enumerate(names)]
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows]))
    table = ["--labels", str(tmp_path / "table.csv"), "--target", "value"]
    assert main(["zoo", "import", str(files), *FOLDER[:4], *table, "--out", str(tmp_path / "z")]) == 0
    header = Zoo(tmp_path / "z").header
    assert header.target["names"] == ["label_1", "label_2"]
    assert [network["path"] for network in header.left_out] == ["dog/net_0.safetensors"]


def test_folder_with_a_table(files: Path, tmp_path: Path) -> None:
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "object"])
        rows.writerows(
            [f"{'cat' if i % 2 else 'dog'}/net_{i}.safetensors", "" if i == 5 else 0.5 + i, i // 2] for i in range(7)
        )
    table = ["--labels", str(tmp_path / "table.csv"), "--target", "value"]
    command = ["zoo", "import", str(files), *FOLDER[:4], *table]
    assert main([*command, "--out", str(tmp_path / "z")]) == 2, "two labels of an object"
    text = (tmp_path / "table.csv").read_text()
    (tmp_path / "table.csv").write_text(
        text.replace("1.5,0", "0.5,0").replace("3.5,1", "2.5,1").replace(",object", ",views")
    )
    assert main([*command, "--out", str(tmp_path / "z")]) == 0
    zoo = Zoo(tmp_path / "z")
    assert sorted(zoo.targets.flatten().tolist()) == [0.5, 0.5, 2.5, 2.5, 4.5]
    reasons = {network["path"]: network["reason"] for network in zoo.header.left_out}
    assert reasons["cat/net_5.safetensors"] == "no label"
    assert "there is no such file" in reasons["dog/net_6.safetensors"]


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_numpy(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec = NetworkSpec((2, 4, 1), "relu")
    params = np.random.default_rng(0).normal(size=(9, spec.num_params))
    splits = np.array(["train"] * 7 + ["val", "test"], dtype="U" if kind == "npy" else "S")
    arrays = {"params": params, "target": np.linspace(0, 1, 9), "split": splits}
    root = tmp_path / "arrays"
    root.mkdir()
    (root / "spec.json").write_text(json.dumps(spec.to_json()))
    if kind == "npz":
        np.savez(root / "data.npz", **arrays)
    else:
        for name, array in arrays.items():
            np.save(root / f"{name}.npy", array)
    source = root / "data.npz" if kind == "npz" else root
    assert main(["zoo", "import", str(source), "--format", "numpy", "--out", str(tmp_path / "z")]) == 2
    assert "the targets are real numbers, such as 0.125: give --target value" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "z").exists()
    assert (
        main(["zoo", "import", str(source), "--format", "numpy", "--target", "value", "--out", str(tmp_path / "z")])
        == 0
    )
    zoo = Zoo(tmp_path / "z")
    assert zoo.spec == spec
    assert np.array_equal(zoo.params(torch.arange(9)).numpy(), params.astype(np.float32))
    assert zoo.splits.tolist() == [0] * 7 + [1, 2]
    assert zoo.targets[:, 0].numpy() == pytest.approx(arrays["target"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": np.array([{}, {}], dtype=object)}, "cannot be read as arrays"),
        ({"params": np.zeros((9, 5))}, "has 17 parameters, found params \\(9, 5\\)"),
        ({"target": np.zeros(8)}, "expected target \\(9,\\), found \\(8,\\)"),
        ({"split": np.full(9, 7)}, "split should be in 0..3"),
        ({"split": np.full(9, "exam")}, "unknown split 'exam'"),
        ({"target": None}, "expected an array target"),
    ],
)
def test_numpy_that_does_not_fit(
    tmp_path: Path, change: dict, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = NetworkSpec((2, 4, 1), "relu")
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()))
    arrays = {"params": np.zeros((9, spec.num_params)), "target": np.zeros(9), **change}
    for name, array in arrays.items():
        if array is not None:
            np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
    assert main(["zoo", "import", str(tmp_path), "--format", "numpy", "--out", str(tmp_path / "z")]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "z").exists()


@pytest.mark.parametrize("format", ["folder", "numpy"])
def test_out_and_in_again_gives_the_same_weights(digits_zoo: Path, tmp_path: Path, format: str) -> None:
    files = tmp_path / "files"
    assert main(["zoo", "export", str(digits_zoo), "--format", format, "--out", str(files)]) == 0
    assert main(["zoo", "import", str(files), "--format", format, "--out", str(tmp_path / "again")]) == 0
    before, after = Zoo(digits_zoo), Zoo(tmp_path / "again")
    assert after.spec == before.spec
    assert after.class_names == before.class_names
    place = {(o, v): row for row, (o, v) in enumerate(zip(after.objects.tolist(), after.views.tolist(), strict=True))}
    rows = torch.tensor([place[o, v] for o, v in zip(before.objects.tolist(), before.views.tolist(), strict=True)])
    everything = torch.arange(len(before))
    assert after.params(rows).numpy().tobytes() == before.params(everything).numpy().tobytes()
    assert torch.equal(after.targets[rows], before.targets)
    assert torch.equal(after.splits[rows], before.splits)


def test_checkpoints_of_cnns_need_their_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "files"
    batch = convolved("flattened", count=6)
    for number, params in enumerate(batch.params.float()):
        (files / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        state = module_of(batch.spec, params.double()).float().state_dict()
        torch.save({"model": state, "epoch": 3}, files / f"class{number % 2}" / f"{number}.pt")
    command = ["zoo", "import", str(files), "--format", "folder", "--val", "1", "--out", str(tmp_path / "z")]
    assert main([*command, "--activation", "relu"]) == 2
    assert "convolutions, whose strides cannot be read from weights: give spec" in " ".join(
        capsys.readouterr().err.split()
    )
    (tmp_path / "cnn.json").write_text(json.dumps(batch.spec.to_json()))
    assert main([*command, "--spec", str(tmp_path / "cnn.json")]) == 0
    zoo = Zoo(tmp_path / "z")
    assert zoo.spec == batch.spec
    assert {row.numpy().tobytes() for row in zoo.params(torch.arange(6))} == {
        row.numpy().tobytes() for row in batch.params.float()
    }
    other = convolved("averaged", count=1)
    torch.save(module_of(other.spec, other.params[0]).state_dict(), files / "class0" / "other.pt")
    assert main([*command[:-1], str(tmp_path / "y"), "--spec", str(tmp_path / "cnn.json")]) == 0
    assert "another architecture: tensors [(5, 2, 3, 3)" in (tmp_path / "y" / "zoo.json").read_text()


@pytest.mark.parametrize("format", ["folder", "numpy"])
@pytest.mark.parametrize("name", SHAPES)
def test_networks_with_convolutions_out_and_in_again(tmp_path: Path, name: str, format: str) -> None:
    batch = convolved(name, count=6)
    splits = ["train"] * 4 + ["val", "test"]
    before = write_zoo(tmp_path / "z", batch.params.float(), batch.spec, targets=torch.arange(6) % 2, splits=splits)
    assert main(["zoo", "export", str(before.path), "--format", format, "--out", str(tmp_path / "f")]) == 0
    assert main(["zoo", "import", str(tmp_path / "f"), "--format", format, "--out", str(tmp_path / "again")]) == 0
    after = Zoo(tmp_path / "again")
    assert after.spec == batch.spec
    order = after.objects.argsort()
    assert torch.equal(after.params(order), before.params(before.objects.argsort()))


def test_export_overwrites_nothing(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    assert main(["zoo", "export", str(digits_zoo), "--out", str(tmp_path / "there")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["zoo", "export", str(digits_zoo), "--format", "onnx", "--out", str(tmp_path / "x")]) == 2
    assert "Known: folder, numpy" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "dwsnet"], "did you mean 'dwsnets'"),
        (["--format", "nfn", "--splits", "x.json"], "splits: an option of dwsnets, not of nfn"),
        (["--format", "dwsnets", "--val", "3"], "leave val and test out"),
        (["--format", "dwsnets", "--view_from", "view/"], "a pattern with one {view}"),
        (
            ["--format", "dwsnets", "--splits", "none.json"],
            "none.json should be the splits, {split: paths}, and cannot be read",
        ),
        (["--format", "folder"], "cannot be read from weights: give one of sine (with omega), tanh, relu"),
        (["--format", "folder", "--activation", "sine", "--test", "50"], "leave none of 12 objects"),
        (["--format", "folder", "--activation", "sine", "--label_regex", "("], "not a regular expression"),
        (["--format", "folder", "--activation", "sine", "--label_regex", "a"], "no group for the label"),
        (["--format", "nfn"], "no network to import"),
        (["--format", "numpy"], "should be the networks' architecture, and cannot be read: No such file"),
    ],
)
def test_what_was_asked_wrongly(
    tree: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo", "import", str(tree), *arguments, "--out", str(tmp_path / "z")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "z").exists()


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "import", str(tmp_path / "none"), "--format", "nfn", "--out", str(tmp_path / "z")]) == 2
    assert "there is nothing at" in capsys.readouterr().err
