"""Networks without biases, and with batch normalisation, from files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn
from weightspace.cli.main import main
from weightspace.importing.state_dict import read_state_dict
from weightspace.layers import folded
from weightspace.module_spec import spec_of
from weightspace.network import evaluate
from weightspace.zoo import Zoo
from weightspace.zoo.summary import layer_weights


def normalised(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3, eps=0.01), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 9, 2)
    )
    module(10 * torch.randn(8, 1, 5, 5))  # which the running statistics see
    return module.eval()


def test_normalisation_is_folded_on_import(tmp_path: Path) -> None:
    root, images = tmp_path / "nets", torch.randn(4, 1, 5, 5)
    for seed in range(3):
        (root / f"{seed % 2}").mkdir(parents=True, exist_ok=True)
        torch.save(normalised(seed).state_dict(), root / f"{seed % 2}/{seed}.pt")
    (root / "spec.json").write_text(json.dumps(spec_of(normalised(0), images).to_json()))
    command = ["zoo", "import", str(root), "--format", "folder", "--norm_eps", "0.01", "--out", str(tmp_path / "z")]
    assert main(command) == 0
    zoo = Zoo(tmp_path / "z")
    assert zoo.header.provenance["norm_eps"] == 0.01
    for row, item in enumerate(zoo.objects.tolist()):
        module = normalised((0, 2, 1)[item])
        with torch.no_grad():
            assert (evaluate(zoo.batch(torch.tensor([row])), images)[0] - module(images)).abs().max() < 1e-5


def test_layers_without_biases_are_found(tmp_path: Path, import_folder: Callable, capsys) -> None:
    root = tmp_path / "nets/cat"
    root.mkdir(parents=True)
    for seed in range(3):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(2, 4, bias=seed == 2), nn.ReLU(), nn.Linear(4, 1))
        torch.save(module.state_dict(), root / f"{seed}.pt")
    zoo = import_folder(tmp_path / "nets")
    assert (zoo.spec.widths, zoo.spec.biases, zoo.header.format) == ((2, 4, 1), (False, True), 2)
    assert len(zoo) == 2
    assert "cat/2.pt: another architecture: 2-4-1" in capsys.readouterr().out
    assert [row.name for row in layer_weights(zoo)] == ["W1", "W2", "b2"]


def test_what_normalisation_follows_must_be_known(tmp_path: Path) -> None:
    module = normalised(0)
    safetensors.torch.save_file(module.state_dict(), tmp_path / "numbers.safetensors")
    found = read_state_dict(tmp_path / "numbers.safetensors").tensors
    assert all(torch.equal(a, b) for a, b in zip(found, folded(module.state_dict()).values(), strict=True))
    named = {name.replace("0.", "conv.").replace("1.", "norm."): t for name, t in module.state_dict().items()}
    safetensors.torch.save_file(named, tmp_path / "names.safetensors")
    apart = nn.ModuleDict(
        {"layers": nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)]), "norms": nn.ModuleList([nn.BatchNorm1d(3)])}
    )
    safetensors.torch.save_file(apart.state_dict(), tmp_path / "lists.safetensors")
    for file in ("names", "lists"):
        with pytest.raises(ValueError, match="which layer it follows is not known. Save weightspace.layers.folded"):
            read_state_dict(tmp_path / f"{file}.safetensors")


def saved(path: Path, *sizes: tuple[str, int, int]) -> list[str]:
    """A file of layers (name, outputs, inputs); the names in the order in which they are read from it."""
    tensors = {name: torch.randn(n, k) for name, n, k in sizes}
    safetensors.torch.save_file({f"{name}.weight": tensor for name, tensor in tensors.items()}, path)
    return [
        next(name for name in tensors if torch.equal(tensors[name], found)) for found in read_state_dict(path).tensors
    ]


def test_layers_of_a_file_without_order_are_in_that_of_their_numbers_or_sizes(tmp_path: Path) -> None:
    numbered = [(f"net.fc{number}", 8, 8 if number > 2 else 3) for number in range(2, 12)]
    assert saved(tmp_path / "a.safetensors", *numbered[::-1], ("net.out", 1, 8)) == [
        *(name for name, *_ in numbered),
        "net.out",
    ]
    assert saved(tmp_path / "b.safetensors", ("hidden", 8, 8), ("input", 8, 3), ("output", 1, 8)) == [
        "input",
        "hidden",
        "output",
    ]


def test_several_orders_of_layers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="fc_one, fc_three, fc_two, head fit one after the other in several ways: number"
    ):
        saved(tmp_path / "x.safetensors", ("fc_one", 8, 2), ("fc_two", 8, 8), ("fc_three", 8, 8), ("head", 1, 8))


def test_negative_variances_leave_a_network_out(tmp_path: Path) -> None:
    module = normalised(0)
    module[1].running_var[1] = -1.0
    torch.save(module.state_dict(), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="1.running_var: a variance is negative: -1"):
        read_state_dict(tmp_path / "x.pt")


def test_an_eps_without_normalisation_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).state_dict(), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="no batch normalisation, which norm_eps is for"):
        read_state_dict(tmp_path / "x.pt", norm_eps=0.1)


def test_bad_eps(tmp_path: Path, capsys) -> None:
    (tmp_path / "nets").mkdir()
    command = ["zoo", "import", str(tmp_path / "nets"), "--out", str(tmp_path / "z"), "--format"]
    assert main([*command, "folder", "--norm_eps", "-1"]) == 2
    assert "norm_eps must be at least 0, found -1" in capsys.readouterr().err
    assert main([*command, "nfn", "--norm_eps", "0.1"]) == 2
    assert "norm_eps: an option of folder, not of nfn" in capsys.readouterr().err
