"""Compiled backbones: what is compiled, how often, and what stays as it was."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from weightspace.backbones import DWS, GNN, MLP, Backbone, Canonical, GraphTransformer, PhaseGNN, Probe, ScaleGNN
from weightspace.backbones.classifier import EncoderClassifier
from weightspace.backbones.compiling import multiply_adds, networks_in, run_eagerly
from weightspace.batch import WeightBatch
from weightspace.files.cache import keep_compiled_code
from weightspace.spec import NetworkSpec

SPEC = NetworkSpec((2, 5, 4, 3), "sine", 7.0, 0.5)
GRAPH = partial(GNN, hidden=4, layers=3, head=8)
#: backbone, and how many different kinds of blocks it has
KINDS: list[tuple[Callable[..., Backbone], int]] = [
    (partial(MLP, hidden=4), 1),
    (partial(DWS, hidden=4, layers=2, head=8), 1),
    (partial(Probe, probes=4, hidden=8), 1),
    (partial(ScaleGNN, hidden=4, layers=2, head=8), 2),
    (partial(PhaseGNN, hidden=4, layers=2, head=8), 2),
    (partial(GRAPH, chunk=4), 1),
    (partial(GRAPH, chunk=4, recompute=True), 1),
    (partial(GraphTransformer, node=4, edge=2, attention=4, heads=2, layers=3, head=8, chunk=4), 2),
    (partial(Canonical, backbone=partial(GRAPH, chunk=4)), 1),
    (partial(EncoderClassifier, encoder=partial(GRAPH, chunk=4), embedding=6), 1),
]


def batch(count: int) -> WeightBatch:
    params = torch.randn(count, SPEC.num_params, generator=torch.Generator().manual_seed(count))
    return WeightBatch(0.3 * params, SPEC)


class Counted:
    """A compiler that computes eagerly, and counts the graphs that it is given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


def made(make: Callable[..., Backbone]) -> Backbone:
    torch.manual_seed(0)
    model = make(SPEC, 3)
    model.fit_normaliser(batch(50))
    return model


@pytest.mark.parametrize(
    ("make", "kinds"),
    KINDS,
    ids=["MLP", "DWS", "Probe", "ScaleGNN", "PhaseGNN", "GNN", "recompute", "GT", "canonical", "encoder"],
)
def test_one_shape_is_compiled_once_and_all_else_is_computed_eagerly(make: Callable[..., Backbone], kinds: int) -> None:
    plain, model, compiler = made(make), made(make), Counted()
    model.compile(10, backend=compiler)
    for odd in (3, 7, 13):
        assert torch.equal(model(batch(odd)), plain(batch(odd)))
    assert torch.equal(model.eval()(batch(10)), plain.eval()(batch(10)))
    model.train()
    with torch.no_grad():
        model(batch(10))
    whole = compiler.graphs
    # whole chunks of a batch that is too small are computed by the same code as those of a whole one
    assert whole == (kinds if model.blocks()[0] is not model and chunk_of(model) else 0)
    for _ in range(2):
        model(batch(10)).square().sum().backward()
        model(batch(9)).square().sum().backward()
    assert compiler.graphs == kinds


def chunk_of(model: Backbone) -> int:
    return max(part.chunk for part in model.modules() if isinstance(part, Backbone))


def test_many_backbones_of_one_process_are_all_compiled() -> None:
    """Torch computes eagerly, without a word, what it has compiled eight times."""
    for layers in range(1, 12):
        compiler = Counted()
        model = MLP(SPEC, 3, hidden=4, layers=layers)
        model.compile(6, backend=compiler)
        model(batch(6))
        assert compiler.graphs == 1


def test_without_a_size_every_training_batch_is_compiled() -> None:
    model, compiler = MLP(SPEC, 3, hidden=4), Counted()
    model.compile(backend=compiler, dynamic=False)
    for count in (6, 4, 6, 4):
        model(batch(count))
    assert compiler.graphs == 2


def test_a_copy_and_an_undone_compilation_are_eager() -> None:
    model, compiler = MLP(SPEC, 3, hidden=4), Counted()
    model.compile(6, backend=compiler)
    copied = copy.deepcopy(model)
    copied(batch(6)).sum().backward()
    assert compiler.graphs == 0
    assert all(p.grad is None for p in model.parameters()), "the copy trains itself"
    run_eagerly(model)
    model(batch(6))
    assert compiler.graphs == 0


def test_the_networks_of_nested_inputs_are_counted() -> None:
    assert networks_in((batch(5),)) == 5
    assert networks_in(([], [torch.zeros(4, 2)], {"x": torch.zeros(3)})) == 4
    assert networks_in(({"x": torch.zeros(3)},)) == 3
    assert networks_in((torch.tensor(1.0), "text", None)) is None


def test_multiply_adds_are_those_of_the_products_and_nothing_changes() -> None:
    model = MLP(SPEC, 3, hidden=4, layers=2, dropout=0.5)
    model.network[0].eval()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    per_network = SPEC.num_params * 4 + 4 * 4 + 4 * 3
    assert [multiply_adds(model, batch(count)) for count in (1, 6)] == [per_network, 6 * per_network]
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert [part.training for part in model.network if not isinstance(part, nn.Identity)][:2] == [False, True]


def test_compiled_code_is_kept_in_the_cache_folder_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHTSPACE_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    keep_compiled_code()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    (tmp_path / "compiled").write_text("a file in its place")
    keep_compiled_code()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
    (tmp_path / "compiled").unlink()
    keep_compiled_code()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


@pytest.mark.parametrize(
    ("make", "widths"),
    [(partial(DWS, hidden=4, layers=1, head=8), 9), (partial(GRAPH, chunk=4), 2)],  # 9: torch compiles one code 8 times
    ids=["DWS", "GNN"],
)
def test_each_width_is_compiled_once(make: Callable[..., Backbone], widths: int) -> None:
    plain, model, compiler = made(make), made(make), Counted()
    model.compile(8, backend=compiler)
    for _ in range(2):
        for width in range(5, 5 + widths):
            spec = NetworkSpec((2, width, 4, 3), "sine", 7.0, 0.5)
            networks = WeightBatch(torch.linspace(-1, 1, spec.num_params).repeat(8, 1), spec)
            model(networks).sum().backward()
            assert torch.allclose(model(networks), plain(networks), atol=1e-5)
    assert compiler.graphs == widths
