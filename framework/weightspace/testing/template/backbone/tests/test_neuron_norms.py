from __future__ import annotations

from importlib.metadata import entry_points

import torch
from torch.nn import functional as F
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec
from weightspace.testing import parametrize_checks

from neuron_norms import NeuronNorms


# with the default values of its arguments; add functions (spec, out_dim) -> backbone with other values
@parametrize_checks(NeuronNorms)
def test_contract(check) -> None:
    check()


# the contract holds for any backbone: this is what this one can distinguish, whatever its arguments are
def test_it_learns_the_size_of_weights() -> None:
    spec = NetworkSpec((2, 8, 8, 1), "sine", 30.0)
    generator = torch.Generator().manual_seed(0)
    sizes = torch.arange(64) % 2
    params = torch.randn(64, spec.num_params, generator=generator) * (1 + sizes[:, None])
    batch = WeightBatch(params, spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = NeuronNorms(spec, 2)
        backbone.fit_normaliser(batch)
        optimiser = torch.optim.Adam(backbone.parameters(), 0.01)
        for _ in range(60):
            optimiser.zero_grad()
            F.cross_entropy(backbone(batch), sizes).backward()
            optimiser.step()
    accuracy = (backbone.eval()(batch).argmax(1) == sizes).double().mean()
    assert accuracy > 0.9


def test_it_is_found_by_name() -> None:
    (point,) = entry_points(group="weightspace.backbones", name="NeuronNorms")
    assert point.load() is NeuronNorms
