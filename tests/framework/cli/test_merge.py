"""The command ``weightspace merge`` on files of networks that were trained or fitted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.errors import SpecError
from weightspace.layers import folded
from weightspace.module_spec import spec_of
from weightspace.network import decode
from weightspace.sources import load_source
from weightspace.spec import NetworkSpec
from weightspace.studies.merge import merge
from weightspace.zoo import Zoo


@pytest.fixture(scope="module")
def exported(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "digits"
    assert main(["zoo", "export", str(digits_zoo), "--out", str(out)]) == 0
    return out


@pytest.fixture
def pair(exported: Path, digits_zoo: Path) -> tuple[list[str], int, tuple[int, int]]:
    """The files of two views of an object, its number, and their rows in the zoo."""
    zoo = Zoo(digits_zoo)
    item = int(zoo.objects[zoo.rows("train")[0]])
    rows = (zoo.objects == item).nonzero().flatten()[:2].tolist()
    files = [str(exported / "train" / f"{item}_{int(zoo.views[row])}.safetensors") for row in rows]
    return files, item, (rows[0], rows[1])


def test_the_psnr_is_that_of_values(pair, exported: Path, digits_zoo: Path, tmp_path: Path, capsys) -> None:
    files, item, rows = pair
    command = ["merge", *files, "--out", str(tmp_path / "c.safetensors"), "--source", "digits", "--object", str(item)]
    points, values = load_source("digits").observations(torch.tensor([item]))
    for given, value_range in ([], Zoo(digits_zoo).value_range), (["--value_range", "[-1,1]"], (-1.0, 1.0)):
        assert main([*command, *given]) == 0
        outputs = decode(Zoo(digits_zoo)[rows[0]], points, value_range)
        expected = f"{float(-10 * (outputs - values).square().mean().log10()):.3g}"
        line = next(line for line in capsys.readouterr().out.splitlines() if "not aligned" in line)
        assert line.split("│")[2].strip() == expected
    assert main([*command, "--value_range", "[1,1]"]) == 2
    assert "--value_range should be two different numbers, found 1 twice" in capsys.readouterr().err


def packed(path: Path, zoo: Zoo) -> torch.Tensor:
    """The parameters in a file, whose tensors are in alphabetical order."""
    state = load_file(path)
    return zoo.spec.pack({name: state[name] for name in zoo.spec.unpack(torch.zeros(zoo.spec.num_params))})


def test_two_views_become_one_network(pair, digits_zoo: Path, tmp_path: Path, capsys) -> None:
    files, item, rows = pair
    out, picture = tmp_path / "c.safetensors", tmp_path / "line.png"
    measured = ["--source", "digits", "--object", str(item), "--picture", str(picture), "--steps", "5"]
    assert main(["merge", *files, "--out", str(out), *measured]) == 0
    zoo = Zoo(digits_zoo)
    expected = merge(zoo[rows[0]], zoo[rows[1]]).params[0]
    assert torch.equal(packed(out, zoo), expected)
    said = capsys.readouterr().out
    assert "permutation+sign+phase" in said
    assert "PSNR (dB)" in said
    assert picture.is_file()
    assert main(["merge", *files, "--out", str(out), "--weight", "0", "--group", "none"]) == 0
    assert torch.equal(packed(out, zoo), zoo[rows[0]].params[0])


def test_cnns_are_measured_by_their_accuracies(tmp_path: Path, capsys) -> None:
    fit = ["zoo", "fit", "--source", "cnns", "--source_set", "data=digits", "--recipe", "cnn", "--train", "2"]
    assert main([*fit, "--set", "hidden=[4,4,4]", "steps=30", "--out", str(tmp_path / "z")]) == 0
    assert main(["zoo", "export", str(tmp_path / "z"), "--out", str(tmp_path / "f")]) == 0
    files = sorted(map(str, (tmp_path / "f" / "train").glob("*.safetensors")))
    capsys.readouterr()
    out = tmp_path / "c.safetensors"
    assert main(["merge", *files, "--out", str(out), "--source", "cnns", "--source_set", "data=digits"]) == 0
    said = capsys.readouterr().out
    assert "test accuracy" in said
    assert "permutation+scale" in said
    assert load_file(out)["0.weight"].shape == (4, 1, 3, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--picture", "p.png"], "--picture needs a --source"),
        (["--steps", "3"], "--steps needs a --source"),
        (["--source", "digits", "--object", "0", "--steps", "4"], "--steps should be odd and at least 3"),
        (["--group", "permutation+scale"], "scale"),
        (["--weight", "2"], "weight"),
        (["--norm_eps", "-1"], "norm_eps must be at least 0, found -1"),
        (["--source", "digits"], "--object is the number of the object that both store"),
        (["--source", "cnns", "--source_set", "data=digits"], "are not of the source cnns"),
        (["--spec", "none.json"], "none.json"),
        (["--out", "c.pt"], "should end in .safetensors"),
        (["--out", "none/c.safetensors"], "there is no folder none"),
    ],
)
def test_bad_options(pair, tmp_path: Path, monkeypatch, capsys, options: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["merge", *pair[0], "--out", "c.safetensors", *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_such_networks(pair, tmp_path: Path, capsys) -> None:
    files, *_ = pair
    out = ["--out", str(tmp_path / "c.safetensors")]
    assert main(["merge", files[0], str(tmp_path / "none.safetensors"), *out]) == 2
    assert "no such file" in capsys.readouterr().err
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"widths": [2, 9, 9, 1], "activation": "sine", "omega": 30}))
    assert main(["merge", *files, *out, "--spec", str(spec)]) == 2
    assert "another architecture: 2-8-8-1" in " ".join(capsys.readouterr().err.split())
    alone = tmp_path / "a.safetensors"
    alone.write_bytes(Path(files[0]).read_bytes())
    spec.unlink()
    assert main(["merge", str(alone), files[1], *out]) == 2
    assert "there is no spec.json beside or above it" in " ".join(capsys.readouterr().err.split())


def test_normalisation_is_folded_with_the_eps_that_is_given(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, eps=0.5), nn.Tanh(), nn.Linear(3, 1))
    torch.save(module.state_dict(), tmp_path / "a.pt")
    spec = spec_of(module, torch.zeros(2, 2))
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()))
    files, out = [str(tmp_path / "a.pt")] * 2, tmp_path / "c.safetensors"
    assert main(["merge", *files, "--out", str(out), "--norm_eps", "0.5"]) == 0
    expected = spec.unpack(spec.pack(folded(module)))
    for name, tensor in load_file(out).items():
        assert torch.allclose(tensor, expected[name], atol=1e-6), name


@pytest.mark.parametrize("group", [None, "auto"])
def test_only_pairs_of_one_architecture_are_merged(group: str | None) -> None:
    spec, other = NetworkSpec((2, 3, 1), "sine", 3.0), NetworkSpec((2, 3, 1), "sine", 4.0)
    first = WeightBatch(torch.zeros(2, spec.num_params), spec)
    for second in (first.replace(spec=other), first[:1]):
        with pytest.raises(SpecError, match="merging takes pairs: found 2 networks .* omega 3 and"):
            merge(first, second, group=group)
    with pytest.raises(SpecError, match="second must be a WeightBatch"):
        merge(first, first.params, group=group)  # type: ignore[arg-type]
