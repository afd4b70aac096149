"""What a notebook shows of a zoo."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import weightspace as ws
from weightspace.figures.notebook import notebook_picture
from weightspace.zoo import Zoo


def test_the_front_door_has_notebooks_draw_networks(digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = ws.Zoo(digits_zoo)
    picture = zoo._repr_png_()
    assert picture is not None
    assert picture[:4] == b"\x89PNG"
    assert picture == notebook_picture(zoo)
    monkeypatch.setattr(Zoo, "picture", None)
    assert zoo._repr_png_() is None, "without the front door there is the text alone"


def test_networks_that_cannot_be_drawn_are_text_alone(tmp_path: Path) -> None:
    spec = ws.NetworkSpec((4, 3, 1), "relu")
    zoo = ws.write_zoo(tmp_path, torch.ones(2, spec.num_params), spec, targets=[0, 1])
    assert zoo._repr_png_() is None
    assert "4-3-1 relu" in repr(zoo)
