"""The regret of choosing by predictions, against all choices one by one."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor
from weightspace.tasks.regret import Regret, chosen_by_rank


def one_by_one(predictions: Tensor, targets: Tensor, candidates: int) -> float:
    """The mean over all sets of candidates, and over those of them that share the largest prediction."""
    regrets = []
    for chosen in combinations(range(len(targets)), min(candidates, len(targets))):
        rows = torch.tensor(chosen)
        first = predictions[rows] == predictions[rows].max()
        regrets.append(float(targets[rows].max() - targets[rows][first].mean()))
    return sum(regrets) / len(regrets)


@pytest.mark.parametrize("candidates", [1, 2, 4, 7, 10])
@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_mean_over_all_choices(candidates: int, ties: bool) -> None:
    generator = torch.Generator().manual_seed(candidates)
    predictions, targets = torch.randn(2, 7, generator=generator, dtype=torch.float64)
    if ties:
        predictions, targets = predictions.round(), targets.round()
    regret = Regret(candidates)
    regret.update(predictions[:3], targets[:3])
    regret.update(predictions[3:], targets[3:])
    assert float(regret.compute()) == pytest.approx(one_by_one(predictions, targets, candidates), abs=1e-12)


def test_perfect_order_costs_nothing_and_chance_the_mean() -> None:
    targets = torch.rand(500, generator=torch.Generator().manual_seed(0))
    perfect, blind = Regret(), Regret()
    perfect.update(3 * targets - 7, targets)
    blind.update(torch.zeros(500), targets)
    assert float(perfect.compute()) == 0
    assert float(blind.compute()) == pytest.approx(10 / 11 - 0.5, abs=0.03)  # of uniform numbers


def test_several_targets_are_averaged() -> None:
    predictions, targets = torch.rand(2, 12, 2, generator=torch.Generator().manual_seed(1))
    both = Regret(3)
    both.update(predictions, targets)
    singles = []
    for column in range(2):
        single = Regret(3)
        single.update(predictions[:, column], targets[:, column])
        singles.append(float(single.compute()))
    assert float(both.compute()) == pytest.approx(sum(singles) / 2)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_batches_of_which_all_networks_are_left_out_change_nothing(shape: tuple[int, ...]) -> None:
    targets = torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))
    regret, with_empty = Regret(2), Regret(2)
    with_empty.update(torch.zeros(0, *shape), torch.zeros(0, *shape))
    for metric in (regret, with_empty):
        metric.update(targets.flip(0), targets)
    assert torch.equal(with_empty.compute(), regret.compute())


def test_unknown_predictions_choose_nothing() -> None:
    regret = Regret(2)
    regret.update(torch.tensor([0.1, torch.nan, 0.3]), torch.tensor([1.0, 2.0, 3.0]))
    assert regret.compute().isnan()


def test_chances_add_up_also_for_many() -> None:
    assert float(chosen_by_rank(100_000, 10).sum()) == pytest.approx(1)
