"""Networks, backbones, augmentations, alignment, losses and fits give on a device what they give on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import weightspace as ws
from torch import Tensor
from weightspace.augment import AugmentationChain, build_augmentations, list_augmentations
from weightspace.backbones import DWS, GNN, MLP, Canonical, GraphTransformer, GridCNN, PhaseGNN, Probe, ScaleGNN
from weightspace.batch import WeightBatch
from weightspace.fitting.classifier_fitter import ClassifierFitter
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.recipes import load_recipe
from weightspace.network import evaluate
from weightspace.sources import load_source
from weightspace.spec import NetworkSpec
from weightspace.symmetry import align, canonicalise
from weightspace.tasks.losses import nt_xent, uniformity
from weightspace.testing import check_augmentation, check_backbone
from weightspace.testing.networks import random_networks

SMALL = {"hidden": 6, "layers": 2, "head": 8}
TRANSFORMER = {"node": 8, "edge": 4, "attention": 8, "heads": 2, "layers": 2, "head": 8}
BACKBONES = {
    "DWS": DWS.partial(**SMALL),
    "DWS with attention": DWS.partial(pool="attention", **SMALL),
    "GNN": GNN.partial(probes=5, chunk=16, recompute=True, **SMALL),
    "graph transformer": GraphTransformer.partial(recompute=True, **TRANSFORMER),
    "ScaleGNN": ScaleGNN.partial(**SMALL),
    "PhaseGNN": PhaseGNN.partial(**SMALL),
    "Probe": Probe.partial(probes=7, hidden=8),
    "GridCNN": GridCNN.partial(side=8, width=8, stages=2),
    "canonical MLP": Canonical.partial(backbone=MLP.partial(hidden=8)),
}
WIDTHS = (2, 6, 5, 1)
SINE, RELU, TANH = (NetworkSpec(WIDTHS, name, 6.0 if name == "sine" else 1.0) for name in ("sine", "relu", "tanh"))


def close(found: Tensor, expected: Tensor, device: torch.device) -> None:
    """Asserts that float64 results of a device are those of the CPU, up to the order of sums."""
    assert found.device.type == device.type
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_keep_their_contract(name: str, device: torch.device) -> None:
    check_backbone(BACKBONES[name], str(device))


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_have_the_results_and_gradients_of_the_cpu(name: str, device: torch.device) -> None:
    batch = random_networks(SINE if name != "ScaleGNN" else RELU)
    model = BACKBONES[name](batch.spec, 3).double()
    model.fit_normaliser(batch)

    def work(where: torch.device | str) -> tuple[Tensor, list[Tensor]]:
        model.zero_grad()
        result = model.to(where)(batch.to(where))
        result.square().sum().backward()
        return result.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    expected, gradients = work("cpu")
    result, found = work(device)
    close(result, expected, device)
    for one, other in zip(found, gradients, strict=True):
        close(one, other, device)


#: Parts with and without labels, that mix and that do not.
COMPOSED = {
    "one_of": ["sign_flip", "gaussian_noise", {"mixup": {"p": 0.5}}],
    "some_of": {"count": [1, 2], "of": ["rotate", "translate", "permute"]},
    "repeat": {"of": {"rotate": {"p": 0.5}}, "times": 2},
}


@pytest.mark.parametrize("name", sorted({*list_augmentations()} - {"mixup_aligned_permuted"}))  # aligns as another
def test_augmentations_keep_their_contract(name: str, device: torch.device) -> None:
    check_augmentation(build_augmentations([{name: COMPOSED.get(name)}])[0], str(device))


def test_a_chain_repeats_itself_and_differs_between_epochs(device: torch.device) -> None:
    batch = random_networks(SINE).to(device)
    chain = AugmentationChain(build_augmentations(["rotate", "sign_flip", "gaussian_noise", "mixup_aligned"]), seed=3)
    first = chain(batch, epoch=1)
    assert torch.equal(first.params, chain(batch, epoch=1).params)
    assert not torch.equal(first.params, chain(batch, epoch=2).params)
    assert first.params.device.type == device.type


@pytest.mark.parametrize("spec", [SINE, RELU, TANH], ids=lambda spec: spec.activation)
@pytest.mark.parametrize("group", ["permutation", "auto"])
def test_networks_are_aligned_as_on_the_cpu(spec: NetworkSpec, group: str, device: torch.device) -> None:
    batch = random_networks(spec)
    other = batch.replace(params=batch.params.roll(1, 0))
    moved = align(batch.to(device), other.to(device), group).apply(other.to(device))
    close(moved.params, align(batch, other, group).apply(other).params, device)


@pytest.mark.parametrize("spec", [SINE, RELU, TANH], ids=lambda spec: spec.activation)
def test_networks_compute_the_same_and_have_the_same_canonical_form(spec: NetworkSpec, device: torch.device) -> None:
    batch, points = random_networks(spec), torch.rand(50, 2, dtype=torch.float64)
    close(evaluate(batch.to(device), points.to(device)), evaluate(batch, points), device)
    close(canonicalise(batch.to(device)).params, canonicalise(batch).params, device)


def test_nt_xent_has_the_loss_and_gradient_of_the_cpu(device: torch.device) -> None:
    rows = torch.randn(2, 9, 5, dtype=torch.float64)

    def work(where: torch.device | str) -> tuple[Tensor, Tensor]:
        leaf = rows.to(where).requires_grad_()
        loss = nt_xent(leaf[0], leaf[1], 0.2) + uniformity(leaf[0].detach())
        return loss.detach(), torch.autograd.grad(loss, leaf)[0]

    for found, expected in zip(work(device), work("cpu"), strict=True):
        close(found, expected, device)


def fitted(fit: Callable[[str], Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Qualities on the device, which must repeat themselves bit for bit, and on the CPU."""
    first, again, expected = fit(str(device)), fit(str(device)), fit("cpu")
    assert torch.equal(first, again)
    assert first.device.type == "cpu"
    return first, expected


def test_digits_are_fitted_as_well_as_on_the_cpu(device: torch.device) -> None:
    recipe, source = load_recipe("siren", {"hidden": [8, 8], "steps": 100}), load_source("digits")

    def fit(where: str) -> Tensor:
        fitter = BatchedFitter(recipe, recipe.spec(2, 1), source.coordinates(), "eager", where)
        return fitter.fit_objects(source, [(item, 0, 0) for item in range(8)], seed=0).quality

    found, expected = fitted(fit, device)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.5)  # dB; 100 steps magnify rounding


def test_classifiers_are_trained_as_well_as_on_the_cpu(device: torch.device) -> None:
    recipe, source = load_recipe("classifier", {"hidden": [6], "steps": 50}), load_source("classifiers", data="iris")

    def fit(where: str) -> Tensor:
        fitter = ClassifierFitter(recipe, recipe.spec(source.in_dim, source.out_dim), where)
        return fitter.fit_objects(source, [(item, 0, 0) for item in range(8)], seed=0).quality

    found, expected = fitted(fit, device)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)  # shares of samples


def test_batches_move_and_come_back(device: torch.device) -> None:
    batch = random_networks(SINE)
    moved = batch.to(device)
    assert isinstance(moved, WeightBatch)
    assert moved.targets is not None
    assert (moved.device.type, moved.targets.device.type) == (device.type, device.type)
    assert torch.equal(moved[[3, 1]].to("cpu").params, batch.params[[3, 1]])
    assert ws.evaluate(moved[:2], torch.zeros(1, 2, dtype=torch.float64, device=device)).shape == (2, 1, 1)
