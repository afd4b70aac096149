from __future__ import annotations

import torch
from weightspace.backbones import MLP
from weightspace.testing import parametrize_checks, task_checks

from balanced_classes import BalancedClasses, class_weights


# with the default values of its arguments; add more task_checks with other values
@parametrize_checks(*task_checks(lambda: BalancedClasses(MLP)))
def test_contract(check) -> None:
    check()


# the contract holds for any task: this is what the loss of this one does, whatever its arguments are
def test_every_class_weighs_the_same() -> None:
    classes = torch.tensor([0, 0, 0, 0, 0, 1, 3, 3])
    weights = class_weights(classes, 4)
    sums = torch.zeros(4).index_add(0, classes, weights[classes])
    torch.testing.assert_close(sums, torch.tensor([8 / 3, 8 / 3, 0, 8 / 3]))
    assert weights.isfinite().all()
