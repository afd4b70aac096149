from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from weightspace.backbones import (
    DWS,
    GNN,
    MLP,
    Backbone,
    Canonical,
    GraphTransformer,
    GridCNN,
    PhaseGNN,
    Probe,
    ScaleGNN,
)
from weightspace.backbones.artefact import describe_encoder, load_backbone, load_weights, save_backbone
from weightspace.backbones.embedding import embed
from weightspace.cli.main import main
from weightspace.entry_points import plugins
from weightspace.errors import ConfigError
from weightspace.files.sealed import seal, unseal
from weightspace.zoo import Zoo

BACKBONES = {
    "DWS": partial(DWS, hidden=4, layers=1, pool="max", dropout=0.3),
    "GNN": partial(GNN, hidden=4, layers=1, probes=3, fourier=2),
    "GraphTransformer": partial(GraphTransformer, node=4, edge=4, attention=4, heads=2, layers=2),
    "ScaleGNN": partial(ScaleGNN, hidden=4, layers=1),
    "PhaseGNN": partial(PhaseGNN, hidden=4, layers=1, probes=3),
    "Probe": partial(Probe, probes=5, hidden=8),
    "GridCNN": partial(GridCNN, side=4, width=8, stages=2),
    "MLP": partial(MLP, hidden=4),
    "Canonical": partial(Canonical, backbone=partial(DWS, hidden=4), group="permutation"),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_an_encoder_comes_back_as_it_was(name: str, random_batch, tmp_path: Path) -> None:
    batch = random_batch().to(dtype=torch.float32)
    encoder = BACKBONES[name](batch.spec, 6)
    encoder.fit_normaliser(batch)
    encoder.eval()
    save_backbone(encoder, tmp_path / "e.safetensors")
    loaded = load_backbone(tmp_path / "e.safetensors")
    assert type(loaded) is type(encoder)
    assert not loaded.training
    assert loaded.description() == encoder.description()
    assert torch.equal(loaded(batch), encoder(batch))
    assert [p.name for p in tmp_path.iterdir()] == ["e.safetensors"]
    with safe_open(tmp_path / "e.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["encoder"])["class"] == name


def test_embedding_leaves_the_encoder_as_it_was(random_batch) -> None:
    batch = random_batch().to(dtype=torch.float32)
    encoder = DWS(batch.spec, 6, hidden=4, dropout=0.5)
    assert torch.allclose(embed(encoder, batch, batch_size=4), encoder.eval()(batch), atol=1e-6)
    encoder.train()
    embed(encoder, batch)
    assert encoder.training


def saved(batch, tmp_path: Path, **arguments) -> Path:
    path = tmp_path / "e.safetensors"
    save_backbone(DWS(batch.spec, 6, **{"hidden": 4, "layers": 1, **arguments}), path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(DWS, hidden=5, layers=1), "DWS: hidden is 5 here, and 4 in the saved weights"),
        (partial(DWS, hidden=4, layers=1, pool="max"), "DWS: pool is max here, and mean in the saved weights"),
        (partial(MLP, hidden=4), "this backbone is a MLP, the saved one a DWS"),
    ],
)
def test_another_encoder_is_refused_and_both_are_named(make, message: str, random_batch, tmp_path: Path) -> None:
    batch = random_batch()
    with pytest.raises(ConfigError, match=message):
        load_weights(saved(batch, tmp_path), make(batch.spec, 6))
    with pytest.raises(ConfigError, match="out_dim is 7 here, and 6 in the saved weights"):
        load_weights(saved(batch, tmp_path), DWS(batch.spec, 7, hidden=4, layers=1))
    other = random_batch(widths=(2, 5, 3))
    with pytest.raises(ConfigError, match="built for 2-5-3 sine.* the saved one for 2-5-4-3 sine"):
        load_weights(saved(batch, tmp_path), DWS(other.spec, 6, hidden=4, layers=1))


def test_dropout_may_differ(random_batch, tmp_path: Path) -> None:
    batch = random_batch()
    load_weights(saved(batch, tmp_path, dropout=0.5), DWS(batch.spec, 6, hidden=4, layers=1))


@pytest.mark.parametrize(
    "make",
    [
        lambda spec, rate: ScaleGNN(spec, 6, hidden=4, layers=1, pool_dropout=rate),
        lambda spec, rate: PhaseGNN(spec, 6, hidden=4, layers=1, pool_dropout=rate),
        lambda spec, rate: Canonical(spec, 6, backbone=DWS.partial(hidden=4, layers=1, dropout=rate)),
        lambda spec, rate: Canonical(spec, 6, backbone=ScaleGNN.partial(hidden=4, layers=1, pool_dropout=rate)),
    ],
)
def test_every_rate_of_dropout_may_differ_also_within(random_batch, tmp_path: Path, make) -> None:
    spec, path = random_batch().spec, tmp_path / "e.safetensors"
    save_backbone(make(spec, 0.5), path)
    load_weights(path, make(spec, 0.0))


def test_files_that_are_no_encoder_are_refused(random_batch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_backbone(tmp_path / "none.safetensors")
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ConfigError, match="not a backbone file"):
        load_backbone(path)
    whole = saved(random_batch(), tmp_path)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match="is damaged: it is truncated, or not a safetensors file"):
        load_backbone(path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="cannot be read: is a fifo"):
        load_backbone(tmp_path / "fifo")


def test_every_flipped_bit_is_found(random_batch, tmp_path: Path) -> None:
    path = saved(random_batch(), tmp_path)
    whole = path.read_bytes()
    for place in torch.linspace(0, 8 * len(whole) - 1, 300).long().tolist():
        altered = bytearray(whole)
        altered[place // 8] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises(ConfigError, match="is damaged|not a backbone file"):
            load_backbone(path)


def test_the_same_encoder_is_the_same_bytes_in_every_process(random_batch, tmp_path: Path) -> None:
    path = saved(random_batch(), tmp_path)
    imports = "import sys; from weightspace.backbones.artefact import *"
    again = f"{imports}; save_backbone(load_backbone(sys.argv[1]), sys.argv[2])"
    subprocess.run([sys.executable, "-c", again, str(path), str(tmp_path / "again.safetensors")], check=True)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_encoders_without_a_digest_are_those_of_the_format_before(random_batch, tmp_path: Path) -> None:
    path = saved(random_batch(), tmp_path)
    tensors, texts = unseal(path.read_bytes())
    del texts["digest"]
    save_file(tensors, path, texts)
    with pytest.raises(ConfigError, match="is damaged: it has no digest"):
        load_backbone(path)
    save_file(tensors, path, {**texts, "format": "1"})
    assert torch.equal(load_backbone(path).state_dict()["head.0.weight"], tensors["head.0.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class": 3}, "its description is damaged: class should be str, found 3"),
        ({"arguments": {"hiden": 4}}, "DWS cannot be built as described: .*'hiden'"),
        ({"spec": {"widths": [2, 3]}}, "DWS cannot be built as described"),
        ({"out_dim": 5}, "out_dim is 5 here, and 6 in the saved weights"),
    ],
)
def test_descriptions_that_fit_nothing_are_refused(changes: dict, message: str, random_batch, tmp_path: Path) -> None:
    path = saved(random_batch(), tmp_path)
    rewrite(path, changes)
    with pytest.raises(ConfigError, match=message):
        load_backbone(path)


def rewrite(path: Path, changes: dict) -> None:
    """Another description, sealed as if it had been written so."""
    tensors, texts = unseal(path.read_bytes())
    del texts["digest"]
    path.write_bytes(seal(tensors, {**texts, "encoder": json.dumps({**json.loads(texts["encoder"]), **changes})}))


class Elsewhere(DWS):
    """Installed nowhere."""


def test_a_class_that_is_not_installed_is_named(random_batch, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_backbone(Elsewhere(random_batch().spec, 6), path)
    assert isinstance(load_backbone(path), Elsewhere)  # it has been imported
    rewrite(path, {"class": "Nowherels"})
    with pytest.raises(ConfigError, match="'Nowherels' is not installed"):
        load_backbone(path)


class Opaque(Backbone):
    def __init__(self, spec, out_dim: int, what) -> None:
        super().__init__(spec, out_dim, None)
        self.layer = torch.nn.Linear(spec.num_params, out_dim)

    def encode(self, params):
        return self.layer(params)


def test_arguments_must_be_plain_data(random_batch) -> None:
    with pytest.raises(ConfigError, match="Opaque: arguments must be numbers, text, .* found what = <object"):
        Opaque(random_batch().spec, 2, object()).state_dict()


NET = """
from weightspace.backbones import MLP

class {}(MLP):
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    """Writes a module with a class, which can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)
    yield lambda name, cls="Net": (tmp_path / f"{name}.py").write_text(NET.format(cls))
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_classes_of_one_name_are_told_apart(module, random_batch, tmp_path: Path) -> None:
    module("one_net"), module("other_net")
    one, other = (import_module(name).Net for name in ("one_net", "other_net"))
    spec, path = random_batch().spec, tmp_path / "e.safetensors"
    for cls in (one, other):
        save_backbone(Canonical(spec, 6, partial(cls, hidden=4)), path)
        assert type(load_backbone(path).backbone) is cls
    with pytest.raises(ConfigError, match=r"one_net.Net.*other_net.Net"):
        load_weights(path, Canonical(spec, 6, partial(one, hidden=4)))
    save_backbone(other(spec, 6, hidden=4), path)
    with pytest.raises(ConfigError, match=r"this backbone is a one_net.Net, the saved one a other_net.Net"):
        load_weights(path, one(spec, 6, hidden=4))


def test_a_file_has_nothing_imported(module, random_batch, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_backbone(Canonical(random_batch().spec, 6, partial(MLP, hidden=4)), path)
    module("never_net")
    within = {"class": "never_net.Net", "arguments": {"hidden": 4}}
    rewrite(path, {"arguments": {"backbone": within, "group": "auto"}})
    message = r"'never_net.Net' is not installed, nor imported, .*: load_backbone\(path, classes=\[...\]\)"
    with pytest.raises(ConfigError, match=message):
        load_backbone(path)
    assert "never_net" not in sys.modules


def test_a_class_that_has_moved_is_named_by_the_user(module, random_batch, tmp_path: Path) -> None:
    module("old_net"), module("new_net")
    path, spec = tmp_path / "e.safetensors", random_batch().spec
    save_backbone(Canonical(spec, 6, partial(import_module("old_net").Net, hidden=4)), path)
    new = import_module("new_net").Net
    loaded = load_backbone(path, classes=[new])
    assert type(loaded.backbone) is new
    save_backbone(loaded, path)
    load_weights(path, Canonical(spec, 6, partial(new, hidden=4)))


def test_names_alone_are_those_of_files_of_before(module, random_batch, tmp_path: Path) -> None:
    module("first_net", "Lone"), module("second_net", "Lone")
    first = import_module("first_net").Lone
    path, spec = tmp_path / "e.safetensors", random_batch().spec
    save_backbone(first(spec, 6, hidden=4), path)
    tensors, texts = unseal(path.read_bytes())
    del texts["digest"]
    before = {"class": "Lone", "arguments": json.loads(texts["encoder"])["arguments"]}
    texts["encoder"] = json.dumps({**json.loads(texts["encoder"]), **before})
    state = {**json.loads(bytes(tensors["_extra_state"].tolist())), **before}
    tensors["_extra_state"] = torch.frombuffer(bytearray(json.dumps(state).encode()), dtype=torch.uint8)
    path.write_bytes(seal(tensors, texts))
    assert type(load_backbone(path)) is first
    load_weights(path, first(spec, 6, hidden=4))
    second = import_module("second_net").Lone
    with pytest.raises(
        ConfigError, match=r"'Lone' may be .*first_net.Lone.*second_net.Lone.*name the class yourself: load_backbone"
    ):
        load_backbone(path)
    assert type(load_backbone(path, classes=[second])) is second


def test_two_distributions_offer_one_name(module, random_batch, tmp_path: Path) -> None:
    module("their_net")
    metadata = tmp_path / "their_net-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-net\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[weightspace.backbones]\nMLP = their_net:Net\n")
    path, spec = tmp_path / "e.safetensors", random_batch().spec
    plugins.cache_clear()
    try:
        for cls, name in ((import_module("their_net").Net, "their-net:MLP"), (MLP, "weightspace:MLP")):
            save_backbone(cls(spec, 6, hidden=4), path)
            assert describe_encoder(path)["class"] == name
            assert type(load_backbone(path)) is cls
    finally:
        (metadata / "entry_points.txt").unlink()
        plugins.cache_clear()
    load_weights(path, MLP(spec, 6, hidden=4))  # ours alone has the name again
    assert type(load_backbone(path)) is MLP


def test_embedding_by_a_class_of_the_user(module, zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module("my_net")
    path, out = tmp_path / "e.safetensors", tmp_path / "out.safetensors"
    save_backbone(import_module("my_net").Net(zoo.spec, 6, hidden=4), path)
    embedding = ["embed", "--encoder", str(path), "--zoo", str(zoo.path), "--out", str(out)]
    assert main([*embedding, "--backbone", "os.getcwd"]) == 2
    assert "expected a class derived from Backbone" in capsys.readouterr().err
    assert main([*embedding, "--backbone", "my_net.Net", "--device", "gpu"]) == 2
    assert "device 'gpu' cannot be used here" in capsys.readouterr().err
    assert main([*embedding, "--backbone", "my_net.Net"]) == 0
    assert load_file(out)["embedding"].shape == (len(zoo), 6)
