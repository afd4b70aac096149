"""What files hold that people have saved: one network is found in it, or the file is left out with the reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from weightspace.cli.main import main
from weightspace.importing.state_dict import read_state_dict
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo

Network = Callable[[int], dict[str, Tensor]]


def read(tmp_path: Path, content: Any, key: str | None = None) -> list[Tensor]:
    torch.save(content, tmp_path / "x.ckpt")
    return read_state_dict(tmp_path / "x.ckpt", key).tensors


def same(found: list[Tensor], network: dict[str, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, network.values(), strict=True))


def named(prefix: str, network: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in network.items()}


OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(4, 2), "step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize("prefix", ["", "model.", "net.", "module.", "_orig_mod.", "module.net.layers."])
@pytest.mark.parametrize(
    "around",
    [
        lambda n: n,
        lambda n: {"model_state_dict": n, "optimizer_state_dict": OPTIMIZER, "epoch": 3, "loss": 0.5},
        lambda n: {"epoch": 3, "optimizer": OPTIMIZER, "model": n, "ema_decay": torch.tensor(0.9)},
        lambda n: {"state_dict": n, "pytorch-lightning_version": "2.5.0", "callbacks": {"x": {"best": torch.zeros(())}},
                   "optimizer_states": [OPTIMIZER], "loops": {"fit_loop": {"state_dict": {}}}, "hyper_parameters": {}},
        lambda n: {"net": {"params": n}, "epoch": None},
    ],
)  # fmt: skip
def test_training_checkpoints(tmp_path: Path, network: Network, prefix: str, around: Callable) -> None:
    assert same(read(tmp_path, around(named(prefix, network(0)))), network(0))


def test_of_several_networks_one_is_chosen(tmp_path: Path, network: Network) -> None:
    both = {"model": network(0), "model_ema": network(1), "epoch": 3}
    with pytest.raises(ValueError, match=r"several networks \(model, model_ema\): choose one by key model"):
        read(tmp_path, both)
    assert same(read(tmp_path, both, "model_ema"), network(1))
    mixed = {**network(0), "ema": {"shadow": network(1)}}
    assert same(read(tmp_path, mixed, "."), network(0))
    assert same(read(tmp_path, mixed, "ema.shadow"), network(1))
    with pytest.raises(ValueError, match=r"nothing called 'ema2'.* there are \., ema.shadow"):
        read(tmp_path, mixed, "ema2")


def test_of_a_module_with_several_parts_one_is_chosen(tmp_path: Path, network: Network) -> None:
    state = {**named("net.", network(0)), **named("teacher.", network(1)), "loss.weight": torch.ones(3)}
    with pytest.raises(ValueError, match="by key net or teacher"):
        read(tmp_path, {"state_dict": state})
    for key in ("teacher", "state_dict.teacher"):
        assert same(read(tmp_path, {"state_dict": state, "callbacks": {}}, key), network(1))


def test_the_key_as_an_option(tmp_path: Path, network: Network, import_folder: Callable) -> None:
    root = tmp_path / "nets"
    (root / "cat").mkdir(parents=True)
    for seed in range(3):
        torch.save({"model": network(seed), "ema": network(10 + seed)}, root / f"cat/{seed}.ckpt")
    command = ["zoo", "import", str(root), "--format", "folder", "--activation", "relu", "--out", str(tmp_path / "z")]
    assert main(command) == 2
    zoo = import_folder(root, "--key", "ema")
    expected = torch.stack([zoo.spec.pack(network(10 + seed)) for seed in range(3)])
    assert torch.equal(zoo.params(torch.arange(3)), expected)
    assert zoo.header.provenance["key"] == "ema"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_numbers_of_other_precision(tmp_path: Path, network: Network, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in network(0).items()}
    assert same(read(tmp_path, state), {name: tensor.to(torch.float32) for name, tensor in state.items()})


def test_views_parameters_and_gradients(tmp_path: Path, network: Network) -> None:
    plain = network(0)
    storage = torch.arange(100.0)
    views = {**plain, "0.weight": storage[:16].reshape(2, 8)[:, ::2].t(), "0.bias": storage[:4]}
    assert same(read(tmp_path, views), views)
    trained = {name: nn.Parameter(tensor) for name, tensor in plain.items()}
    found = read(tmp_path, trained)
    assert same(found, plain)
    assert not any(tensor.requires_grad for tensor in found)


def strange() -> dict[str, Any]:
    return {
        "meta": torch.empty(4, 2, device="meta"),
        "sparse": torch.eye(4)[:, :2].to_sparse(),
        "compressed": torch.eye(4)[:, :2].to_sparse_csr(),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(2)]),
        "quantised": torch.quantize_per_tensor(torch.ones(4, 2), 0.1, 0, torch.qint8),
        "complex": torch.ones(4, 2, dtype=torch.complex64),
        "whole": torch.ones(4, 2, dtype=torch.int64),
        "huge": torch.zeros(1).expand(1 << 40, 2),
        "scalar": torch.tensor(1.0),
        "not_finite": torch.full((4, 2), torch.nan),
        "of_none": None,
        "text": "weights",
        "list": [1.0, 2.0],
    }


@pytest.mark.filterwarnings("ignore:.*(beta state|prototype|quantiz|Quantiz|non-optimal|PyTorch API of nested)")
def test_one_strange_file_never_ends_an_import(tmp_path: Path, network: Network, import_folder: Callable) -> None:
    root = tmp_path / "nets"
    (root / "cat").mkdir(parents=True)
    values = strange()
    for kind, value in values.items():
        torch.save({**network(0), "0.weight": value}, root / f"cat/{kind}.pth")
    (root / "cat/folder.pth").mkdir()
    (root / "cat/empty.safetensors").write_bytes(b"")
    (root / "cat/claim.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    torch.save([network(0)], root / "cat/of_a_list.pth")
    torch.save(network(0), root / "cat/old.pth", _use_new_zipfile_serialization=False)
    for seed in range(40):
        torch.save(network(100 + seed), root / f"cat/good_{seed}.pth")
    zoo = import_folder(root)
    assert len(zoo) == 40
    reasons = {Path(entry["path"]).stem: entry["reason"] for entry in zoo.header.left_out}
    assert reasons.keys() == {*values, "empty", "claim", "of_a_list", "old"}
    assert "more than the file can hold" in reasons["huge"]
    assert "weights that are not finite" in reasons["not_finite"]
    for kind in ("sparse", "meta", "complex"):
        assert kind in reasons[kind]


def test_files_of_the_other_byte_order(tmp_path: Path, network: Network) -> None:
    import zipfile

    torch.save(network(0), tmp_path / "little.pth")
    with zipfile.ZipFile(tmp_path / "little.pth") as old, zipfile.ZipFile(tmp_path / "big.pth", "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            if "/data/" in entry:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            new.writestr(entry, b"big" if entry.endswith("byteorder") else content)
    assert same(read_state_dict(tmp_path / "big.pth").tensors, network(0))


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", np.longdouble])
def test_arrays_of_other_kinds_of_numbers(tmp_path: Path, dtype: Any) -> None:
    spec = NetworkSpec((2, 4, 1), "relu")
    params = np.random.default_rng(0).normal(size=(5, spec.num_params)).astype(dtype)
    params[2, 3] = np.inf
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()))
    np.save(tmp_path / "params.npy", params)
    np.save(tmp_path / "target.npy", np.arange(5).astype(">i4"))
    assert main(["zoo", "import", str(tmp_path), "--format", "numpy", "--out", str(tmp_path / "z")]) == 0
    zoo = Zoo(tmp_path / "z")
    assert np.array_equal(zoo.params(torch.arange(4)).numpy(), np.delete(params, 2, 0).astype(np.float32))
    assert [entry["path"] for entry in zoo.header.left_out] == ["row 2"]


def test_ctrl_c_in_torch_is_no_damaged_file(
    tmp_path: Path, save_networks: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = save_networks(tmp_path / "nets", *(f"cat/{number}.pth" for number in range(6)))
    load, calls = torch.load, []

    def pressed(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 9:  # the first six are looked at to find the architecture
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0)
            except KeyboardInterrupt:  # what torch makes of ctrl-C now and then
                raise ValueError("PytorchStreamReader failed") from None
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", pressed)
    out = tmp_path / "z"
    command = ["zoo", "import", str(root), "--format", "folder", "--activation", "relu", "--out", str(out)]
    assert main(command) == 130
    assert main(command) == 0
    zoo = Zoo(out)
    assert (len(zoo), zoo.header.left_out) == (6, [])


def test_a_refused_pickle_names_what_it_asked_for(tmp_path: Path) -> None:
    torch.save({"model": nn.Linear(2, 2)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"torch.nn.modules.linear.Linear.*torch.save\(model.state_dict\(\), PATH\)"):
        read_state_dict(tmp_path / "x.pth")


def test_safetensors_with_several_parts(tmp_path: Path, network: Network) -> None:
    both = {**named("a.", network(0)), **named("b.", network(1))}
    safetensors.torch.save_file(both, tmp_path / "x.SAFETENSORS")
    found = read_state_dict(tmp_path / "x.SAFETENSORS", "b").tensors
    assert [tuple(tensor.shape) for tensor in found] == [(4, 2), (4,), (1, 4), (1,)]
    assert torch.equal(found[0], network(1)["0.weight"])


@pytest.mark.long
def test_ctrl_c_at_any_moment_leaves_no_network_out(tmp_path: Path, save_networks: Callable) -> None:
    root = save_networks(tmp_path / "nets", *(f"cat/{number}.pth" for number in range(3000)))
    command = ["zoo", "import", str(root), "--format", "folder", "--activation", "relu", "--out", str(tmp_path / "z")]
    for delay in (0.1, 0.4, 1.1):
        run = subprocess.Popen([sys.executable, "-u", "-m", "weightspace", *command], stdout=subprocess.PIPE)
        assert run.stdout is not None
        run.stdout.readline()  # it says what it will import, and begins
        time.sleep(delay)
        run.send_signal(signal.SIGINT)
        run.communicate()
        if run.returncode == 0:  # it was quicker
            break
        assert run.returncode == 130
    assert main(command) == 0
    zoo = Zoo(tmp_path / "z")
    assert (len(zoo), zoo.header.left_out) == (3000, [])
