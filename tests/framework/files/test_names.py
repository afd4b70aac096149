from __future__ import annotations

import random
from itertools import permutations
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from weightspace.cli.main import main
from weightspace.files.names import in_order, natural
from weightspace.sources import load_source
from weightspace.zoo import Zoo

NAMES = ("0", "2", "9", "10", "100", "Dog", "cat", "cat2", "cat12", "cat 9", "cat 10", "²", "élan")


def test_every_order_of_names_gives_the_same() -> None:
    for seed in range(20):
        assert in_order(random.Random(seed).sample(NAMES, len(NAMES))) == NAMES


def test_no_two_names_are_equal() -> None:
    for a, b in permutations(["1", "01", "001", "1a", "01a", "a1", "a01", "", "0", "00"], 2):
        assert natural(a) != natural(b), (a, b)


def test_long_numbers() -> None:
    long = "9" * 5000  # more digits than Python reads as an integer
    assert in_order([long + "1", long, "8"]) == ("8", long, long + "1")


@pytest.fixture
def kinds() -> list[str]:
    return ["class 10", "class 9", "class 1", "Class 3", "_other"]


def test_a_source_and_an_import_number_classes_alike(tmp_path: Path, kinds: list[str]) -> None:
    for number, kind in enumerate(kinds):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        Image.new("L", (4, 4), 9 * number).save(tmp_path / "pictures" / kind / "a.png")
        (tmp_path / "networks" / kind).mkdir(parents=True)
        torch.manual_seed(number)
        network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        torch.save(network.state_dict(), tmp_path / "networks" / kind / "a.pth")
    source = load_source("images", path=str(tmp_path / "pictures"), size=4)
    command = ["zoo", "import", str(tmp_path / "networks"), "--format", "folder", "--activation", "relu"]
    assert main([*command, "--out", str(tmp_path / "zoo")]) == 0
    expected = ["Class 3", "_other", "class 1", "class 9", "class 10"]
    assert Zoo(tmp_path / "zoo").class_names == list(source.class_names) == expected
