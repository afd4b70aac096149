"""Batch normalisation that is folded into the layers before it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weightspace.batch import WeightBatch
from weightspace.errors import SpecError
from weightspace.layers import folded
from weightspace.module_spec import spec_of
from weightspace.network import evaluate


def normalised() -> nn.Sequential:
    """A network whose normalisation has learned something; of several kinds, with biases before it and without."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5, affine=False, eps=0.1), nn.Tanh(), nn.Flatten(),
        nn.Linear(5 * 16, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3, bias=False),
    ).double()  # fmt: skip
    for layer in module:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.1, 3.0)
            if layer.affine:
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
    return module


def test_a_folded_network_computes_what_the_normalised_one_does_in_evaluation() -> None:
    module, images = normalised(), torch.randn(5, 2, 6, 6, dtype=torch.float64)
    spec = spec_of(module, images)
    assert spec.biases == (True, True, True, False)
    assert spec.activations == ("relu", "tanh", "relu")
    batch = WeightBatch(spec.pack(folded(module))[None], spec)
    with torch.no_grad():
        assert (evaluate(batch, images)[0] - module.eval()(images)).abs().max() < 1e-9


def test_without_the_module_one_eps_is_for_all() -> None:
    module = normalised()
    of_module, of_state = folded(module), folded(module.state_dict())
    assert torch.equal(of_module["0.weight"], of_state["0.weight"])
    assert not torch.equal(of_module["3.weight"], of_state["3.weight"])
    assert torch.equal(of_module["3.weight"], folded(module.state_dict(), eps=0.1)["3.weight"])


class Frozen(nn.Module):
    """Normalisation of another kind than torch's."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name))


def test_other_kinds_of_normalisation_say_their_eps_too() -> None:
    module = normalised()
    module[1].eps = 0.3
    frozen = nn.Sequential(module[0], Frozen(module[1]))
    assert torch.equal(folded(frozen)["0.weight"], folded(module)["0.weight"])


def test_other_networks_stay_as_they_are() -> None:
    state = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False)).state_dict()
    assert folded(state) == dict(state)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3)), "0: there is no layer before"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(2)), "1: .* does not fit the layer before it, 0"),
        (
            nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3)),
            "2: .* between 0 and this one there is something",
        ),
    ],
)
def test_normalisation_that_belongs_to_no_layer_is_refused(module: nn.Module, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        folded(module)


def test_normalisations_in_a_row_are_refused() -> None:
    apart = nn.ModuleDict(
        {"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "norm_a": nn.BatchNorm1d(3), "norm_b": nn.BatchNorm1d(3)}
    )
    with pytest.raises(SpecError, match="norm_b: two batch normalisations in a row, norm_a and this one"):
        folded(apart)


def test_only_modules_and_their_state_dicts_are_folded() -> None:
    with pytest.raises(SpecError, match="takes a module or its state_dict, found list"):
        folded([torch.zeros(2)])  # type: ignore[arg-type]


def test_negative_variances_are_refused_by_name() -> None:
    module = normalised()
    module[4].running_var[2] = -0.5
    with pytest.raises(SpecError, match="4.running_var: a variance is negative: -0.5"):
        folded(module)


def test_pack_says_what_to_do_with_normalisation() -> None:
    module = normalised()
    with pytest.raises(SpecError, match="fold its batch normalisation first"):
        spec_of(module, torch.zeros(1, 2, 6, 6, dtype=torch.float64)).pack(module.state_dict())
