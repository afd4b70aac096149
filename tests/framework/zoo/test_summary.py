from __future__ import annotations

from pathlib import Path

import pytest
import torch
from weightspace.zoo import Zoo
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.summary import layer_weights, nearest_pairs, text_histogram
from weightspace.zoo.writer import ZooWriter


def test_weights_of_each_layer(zoo: Zoo) -> None:
    found = {row.name: row for row in layer_weights(zoo)}
    assert list(found) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    batch = zoo.batch(torch.arange(len(zoo)))
    assert found["W2"].mean == pytest.approx(float(batch.weights[1].mean()), abs=1e-7)
    assert found["b1"].deviation == pytest.approx(float(batch.biases[0].std(correction=0)))
    assert found["W3"].largest == pytest.approx(float(batch.weights[2].abs().max()))


def test_a_near_copy_is_the_nearest_pair(zoo: Zoo, tmp_path: Path) -> None:
    params = zoo.params(torch.arange(50)).clone()
    params[37] = params[4] + 1e-4
    tensors = {"params": params, "target": zoo.targets[:50], "object": torch.arange(50), "view": zoo.views[:50]}
    header = ZooHeader(zoo.spec, zoo.header.target, ["psnr"], {}, [])
    with ZooWriter(tmp_path / "z", {}, header) as writer:
        writer.write({**tensors, "split": zoo.splits[:50], "quality": zoo.quality[:50]}, [])
        writer.finish()
    pairs = nearest_pairs(Zoo(tmp_path / "z"))
    assert (pairs[0].first, pairs[0].second) == (4, 37)
    distances = torch.pdist(params)
    assert pairs[0].distance == pytest.approx(float(distances.min() / distances.median()))
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)


def test_histograms_of_odd_values() -> None:
    assert text_histogram(torch.tensor([float("inf"), float("nan")])) == "none are finite"
    assert text_histogram(torch.full((5,), 2.0)) == "all 2.00"
    assert text_histogram(torch.tensor([0.0, 9.0, float("inf")]), bins=3) == "0.00 █ █ 9.00"
