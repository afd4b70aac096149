"""Fully connected networks without some biases, and with several activations."""

from __future__ import annotations

import pytest
import torch
from convolved_networks import module_of
from weightspace.augment import build_augmentations
from weightspace.backbones import DWS, GNN, MLP, Canonical, GraphTransformer, PhaseGNN, Probe, ScaleGNN
from weightspace.batch import WeightBatch, pack_layers
from weightspace.errors import AugmentationError, SpecError
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GroupElement, align, canonicalise, squared_distance
from weightspace.testing.backbone_rules import BASIC, OTHERS, every_parameter_learns
from weightspace.testing.networks import random_networks

SPECS = [
    NetworkSpec((2, 6, 1), "sine", 2.0, biases=(False, False)),
    NetworkSpec((2, 6, 5, 1), "relu", biases=(True, False, True)),
    NetworkSpec((3, 5, 6, 4, 2), ("tanh", "sine", "tanh"), (1.0, 2.0, 1.0), 0.5, biases=(True, True, False, False)),
    NetworkSpec((2, 6, 5, 1), ("tanh", "relu")),
    NetworkSpec((2, 6, 5, 1), ("sine", "relu"), (2.0, 1.0), biases=(False, True, True)),
]
POINTS = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
each_spec = pytest.mark.parametrize("spec", SPECS, ids=str)


@each_spec
def test_they_compute_what_torch_computes_and_come_back_from_json(spec: NetworkSpec) -> None:
    batch, points = random_networks(spec), POINTS[:, : spec.in_dim]
    for params, found in zip(batch.params, evaluate(batch, points), strict=True):
        with torch.no_grad():
            assert (found - module_of(spec, params)(points) - spec.output_offset).abs().max() < 1e-12
    assert NetworkSpec.from_json(spec.to_json()) == spec
    assert torch.equal(pack_layers(batch.weights, batch.biases, spec), batch.params)
    assert spec.num_params == sum(p.numel() for p in module_of(spec, batch.params[0]).parameters())


@each_spec
def test_symmetries_alignment_and_canonical_forms(spec: NetworkSpec) -> None:
    batch, points = random_networks(spec), POINTS[:, : spec.in_dim]
    other = GroupElement.random(batch, spec.symmetries, torch.Generator().manual_seed(1)).apply(batch)
    assert (evaluate(other, points) - evaluate(batch, points)).abs().max() < 1e-9
    assert (canonicalise(other).params - canonicalise(batch).params).abs().max() < 1e-9
    assert squared_distance(batch, align(batch, other).apply(other)).max() < 1e-9


@each_spec
@pytest.mark.parametrize("backbone", [DWS, GNN, MLP, PhaseGNN, Probe, ScaleGNN, Canonical.partial(backbone=MLP)])
def test_backbones_keep_their_contract(backbone: type, spec: NetworkSpec) -> None:
    for rule in (*BASIC, *OTHERS):
        if rule is not every_parameter_learns or not spec.biases:  # what reads a missing bias always reads 0
            rule(backbone, random_networks(spec))


@each_spec
@pytest.mark.parametrize("backbone", [DWS, GNN, GraphTransformer, ScaleGNN])
def test_all_parameters_get_gradients_where_weights_are_returned(backbone: type, spec: NetworkSpec) -> None:
    editor = backbone(spec, spec.num_params, output="weights").double()
    editor(random_networks(spec)).square().sum().backward()
    lacking = [name for name, parameter in editor.named_parameters() if parameter.grad is None]
    assert not lacking, "processes that train together would wait for them"


def test_symmetries_are_those_of_all_hidden_layers() -> None:
    assert [sorted(spec.symmetries) for spec in SPECS] == [
        ["permutation", "sign"],
        ["permutation", "scale"],
        ["permutation", "sign"],
        ["permutation"],
        ["permutation"],
    ]


def test_one_activation_is_one_however_it_is_written() -> None:
    assert NetworkSpec((2, 4, 4, 1), ("tanh", "tanh")) == NetworkSpec((2, 4, 4, 1), "tanh")
    assert NetworkSpec((2, 4, 4, 1), "tanh", biases=(True, True, True)) == NetworkSpec((2, 4, 4, 1), "tanh")
    assert "biases" not in NetworkSpec((2, 4, 4, 1), "tanh").to_json()
    said = "2-6-5-1 sine/relu, omega 2/1, no biases in layers 1"
    assert str(SPECS[4]) == said


@pytest.mark.parametrize(
    ("name", "spec", "said"),
    [
        ("translate", SPECS[0], "moves the first layer's biases, which these networks lack"),
        ("phase_shift", SPECS[0], "moves biases, which hidden layers of these networks lack"),
        ("sign_flip", SPECS[3], "valid for sine/tanh networks only"),
        ("positive_scale", SPECS[4], "valid for relu networks only"),
    ],
)
def test_augmentations_without_meaning_are_refused(name: str, spec: NetworkSpec, said: str) -> None:
    (augmentation,) = build_augmentations([name])
    with pytest.raises(AugmentationError, match=said):
        augmentation(random_networks(spec), seed=0)


def test_noise_and_rotation_keep_missing_biases_missing() -> None:
    batch = random_networks(SPECS[0])
    for augmentation in build_augmentations([{"gaussian_noise": {"scale": 0.1}}, "rotate", "scale", "dropout"]):
        result = augmentation(batch, seed=0)
        assert result.params.shape == batch.params.shape
        assert not any(bias.any() for bias in result.biases)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"activation": ("tanh",)}, "activation must be one, or one for each of 2 hidden layers, found"),
        ({"activation": ("tanh", "cosine")}, "unknown activation 'cosine'"),
        ({"activation": ("tanh", "sine"), "omega": 2.0}, "omega must be 1 for tanh networks"),
        ({"biases": (True, False)}, "biases must be true or false for each of 3 layers, found"),
        ({"biases": (1, 0, 1)}, "biases must be true or false for each of 3 layers"),
        ({"biases": False}, "biases must be true or false for each of 3 layers"),
    ],
)
def test_bad_architectures(arguments: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        NetworkSpec((2, 4, 4, 1), **{"activation": "sine", **arguments})


def test_a_plugin_that_forgets_missing_biases_is_found() -> None:
    batch = random_networks(SPECS[0])
    with pytest.raises(SpecError, match="params must be"):
        WeightBatch(pack_layers(batch.weights, batch.biases), batch.spec)
