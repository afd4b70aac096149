from __future__ import annotations

import math

import torch
from weightspace.sources import load_source
from weightspace.testing import parametrize_checks

from plane_waves import PlaneWaves


# with the default values of its arguments; add *source_checks(lambda: PlaneWaves(...)) with other values
@parametrize_checks(PlaneWaves)
def test_contract(check) -> None:
    check()


# the contract holds for any source: this is what this one's objects are, whatever its arguments are
def test_the_first_class_are_waves_along_rows() -> None:
    source = PlaneWaves()
    first = torch.from_numpy(source.targets == 0).nonzero().flatten()[:5]
    values = source.values(first)
    side = math.isqrt(values.shape[1])
    pictures = values.reshape(len(first), side, side)
    torch.testing.assert_close(pictures, pictures[:, :, :1].expand_as(pictures))
    assert (pictures.amax((1, 2)) - pictures.amin((1, 2)) > 0.3).all()


def test_it_is_found_by_name() -> None:
    assert isinstance(load_source("plane_waves"), PlaneWaves)
