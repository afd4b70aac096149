"""Partners of aligned MixUp: the nearest networks by what they compute."""

from __future__ import annotations

import pytest
import torch
from weightspace.augment import AugmentationChain, build_augmentations
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.network import evaluate
from weightspace.symmetry import GroupElement, align, squared_distance
from weightspace.testing import parametrize_checks
from weightspace_plugins.mixing import sample_beta
from weightspace_plugins.mixup import MixUpAligned
from weightspace_plugins.partners import nearest


@parametrize_checks(MixUpAligned(partners="nearest"), MixUpAligned(partners="nearest_same_class", stored=True))
def test_contract(check) -> None:
    check()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_partners_of_the_batch_are_drawn_as_before(random_batch) -> None:
    batch, source = random_batch(count=9), generator()
    for augmentation in (MixUpAligned(), MixUpAligned(partners="batch")):
        mix = augmentation.sample(batch, generator())
        source = generator()
        assert torch.equal(mix.partners, torch.randperm(9, generator=source))
        assert torch.equal(mix.lam, sample_beta(1.0, batch, source))


@pytest.mark.parametrize(("widths", "activation"), [((2, 32, 32, 1), "sine"), ((3, 16, 16, 1), "relu")])
def test_the_nearest_is_that_of_a_fine_grid_almost_always(fitted, widths, activation: str) -> None:
    batch = fitted(widths, activation)
    points = torch.cartesian_prod(*[torch.linspace(-1, 1, {2: 40, 3: 12}[widths[0]], dtype=torch.float64)] * widths[0])
    outputs = evaluate(batch, points).flatten(1)
    distances = (outputs[:, None] - outputs).norm(dim=2).fill_diagonal_(torch.inf)
    found = nearest(batch, same_class=False)
    excess = distances.gather(1, found[:, None]).squeeze(1) / distances.amin(1)
    assert (found == distances.argmin(1)).double().mean() >= 0.7
    assert excess.max() < 1.25, "or one that is hardly farther"


@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
@pytest.mark.parametrize("same_class", [False, True])
def test_symmetries_change_no_partner_and_hidden_copies_find_each_other(fitted, activation, same_class: bool) -> None:
    batch = fitted((2, 32, 32, 1), activation).replace(targets=torch.arange(20) % 4, num_classes=4)
    hidden = GroupElement.random(batch, batch.spec.symmetries, generator(3)).apply(batch)
    assert torch.equal(nearest(hidden, same_class), nearest(batch, same_class))
    params = torch.cat([batch.params, hidden.params + 1e-6])
    both = WeightBatch(params, batch.spec, torch.cat([batch.targets] * 2), num_classes=4)
    assert torch.equal(nearest(both, same_class), (torch.arange(40) + 20) % 40)
    partner = both.select(nearest(both, same_class))
    mixed = MixUpAligned(partners="nearest")(both, generator())
    if activation != "relu":  # the closest scale is not the hidden one exactly
        assert squared_distance(both, align(both, partner).apply(partner)).max() < 1e-6
        assert (evaluate(mixed, torch.zeros(1, 2)) - evaluate(both, torch.zeros(1, 2))).abs().max() < 1e-2


def test_of_the_same_class_among_classes_and_shares(random_batch) -> None:
    batch = random_batch(count=40)
    soft = torch.nn.functional.one_hot(batch.targets, 3) * 0.6 + 0.1
    for targets in (batch.targets, soft):
        found = nearest(batch.replace(targets=targets), same_class=True)
        assert torch.equal(batch.targets[found], batch.targets)
        assert (found != torch.arange(40)).all()
    outputs = evaluate(batch, 2 * torch.rand(4000, 2, dtype=torch.float64, generator=generator()) - 1).flatten(1)
    distances = (outputs[:, None] - outputs).norm(dim=2)
    chosen = distances.gather(1, found[:, None]).squeeze(1)
    for network in range(40):
        of_class = distances[network, (batch.targets == batch.targets[network]) & (torch.arange(40) != network)]
        assert chosen[network] < 1.25 * of_class.min()


def test_a_network_without_a_partner_stays(random_batch) -> None:
    batch = random_batch(count=5).replace(targets=torch.tensor([0, 1, 1, 1, 2]))
    found = nearest(batch, same_class=True)
    assert found[[0, 4]].tolist() == [0, 4]
    after = MixUpAligned(partners="nearest_same_class")(batch, generator())
    assert torch.allclose(after.params[[0, 4]], batch.params[[0, 4]])
    assert torch.equal(after.targets.argmax(1), batch.targets), "targets of one class stay"
    assert nearest(batch[:1], same_class=False).tolist() == [0]


def test_the_whole_batch_is_searched_within_a_composition(random_batch) -> None:
    batch = random_batch(count=64)
    (composed,) = build_augmentations([{"one_of": ["permute", {"mixup_aligned": {"partners": "nearest"}}]}])
    ((_, _, mix),) = [step for step in composed.sample(batch, generator()).steps if step.place == 1]
    assert torch.equal(mix.partners, nearest(batch, same_class=False))


def test_a_chain_repeats_itself(random_batch) -> None:
    batch = random_batch(count=12)
    chains = [AugmentationChain([MixUpAligned(partners="nearest")], 3) for _ in range(2)]
    assert torch.equal(*[chain(batch, epoch=1).params for chain in chains])


def test_what_cannot_work_is_refused(random_batch) -> None:
    with pytest.raises(AugmentationError, match="partners must be one of batch, nearest, nearest_same_class, found 'n"):
        build_augmentations([{"mixup_aligned": {"partners": "near"}}])
    spec = random_batch().spec
    MixUpAligned(partners="nearest").check(spec, "value")
    with pytest.raises(AugmentationError, match="partners nearest_same_class needs classes, these networks have a reg"):
        MixUpAligned(partners="nearest_same_class").check(spec, "value")
