"""Backbones on networks with convolutions: the contract of all backbones, for which channels are neurons."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from convolved_networks import SHAPES, convolved
from weightspace.backbones import (
    DWS,
    GNN,
    MLP,
    Canonical,
    Editor,
    GraphTransformer,
    GridCNN,
    PhaseGNN,
    Probe,
    ScaleGNN,
    Statistics,
)  # fmt: skip
from weightspace.backbones.features import features, flat
from weightspace.backbones.statistics import statistics
from weightspace.errors import ConfigError
from weightspace.testing.backbone_rules import BASIC, OTHERS

SMALL = {"hidden": 4, "layers": 2, "head": 8}
TRANSFORMER = {"node": 8, "edge": 4, "attention": 8, "heads": 2, "layers": 2, "head": 8}


def variant(cls, **arguments):
    def make(spec, out_dim):
        return cls(spec, out_dim, **arguments)

    make.__name__ = "-".join([cls.__name__, *(f"{k}={v}" for k, v in arguments.items() if k == "output")])
    return make


VARIANTS = [
    variant(DWS, **SMALL),
    variant(DWS, output="weights", hidden=4, layers=2),
    variant(GNN, **SMALL),
    variant(GNN, output="weights", fourier=2, **SMALL),
    variant(GraphTransformer, **TRANSFORMER),
    variant(GraphTransformer, output="weights", **TRANSFORMER),
    variant(ScaleGNN, **SMALL),
    variant(ScaleGNN, output="weights", **SMALL),
    variant(Canonical, backbone=MLP),
    variant(MLP, hidden=8),
    variant(Statistics, hidden=8),
    variant(Editor, update=DWS.partial(output="weights", hidden=3, layers=1)),
]


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("flattened", "tanh"),
        ("deep", "relu"),
        ("few biases", "tanh"),
        pytest.param("averaged", "relu", marks=pytest.mark.long),
        pytest.param("deep", "several", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("make", VARIANTS, ids=lambda make: make.__name__)
def test_contract(make, name: str, activation: str) -> None:
    batch = convolved(name, activation)
    for rule in (*BASIC, *OTHERS):
        rule(make, batch)


@pytest.mark.parametrize("name", SHAPES)
def test_features_have_an_inverse(name: str) -> None:
    batch = convolved(name)
    assert torch.equal(flat(features(batch.params, batch.spec), batch.spec), batch.params)


def test_statistics_are_those_of_numpy() -> None:
    batch = convolved("averaged")
    found = statistics(batch.params, batch.spec)
    tensors = [*batch.weights, *batch.biases]
    for network in range(len(batch)):
        expected = []
        for tensor in tensors:
            values = tensor[network].numpy().ravel()
            expected += [values.mean(), values.var(), *np.quantile(values, (0, 0.25, 0.5, 0.75, 1))]
        assert np.allclose(found[network].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Probe, "probes are points"),
        (variant(DWS, probes=3), "probes are points"),
        (variant(GNN, probes=3), "probes are points"),
        (variant(ScaleGNN, probes=3), "probes are points"),
        (GridCNN, "of one to three coordinates"),
        (PhaseGNN, "reads fully connected networks"),
    ],
)
def test_what_needs_points_is_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(convolved("averaged").spec, 3)
