"""Which networks are alike: distances against brute force, and who is a neighbour of whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from weightspace.backbones import DWS, embed
from weightspace.errors import ConfigError, SpecError, ZooError
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.studies import nearness
from weightspace.studies.nearness import by_embedding, by_function, by_weights, domain
from weightspace.studies.neighbours import neighbours
from weightspace.studies.zoo_map import positions
from weightspace.symmetry import GroupElement, align
from weightspace.zoo import Zoo


def test_distances_of_embeddings_and_of_functions_are_those_of_loops(random_batch) -> None:
    batch = random_batch((2, 5, 4, 3))
    first, second = batch[:2], batch[2:]
    vectors = torch.randn(6, 7, generator=torch.Generator().manual_seed(0))
    cosine, functions = by_embedding(vectors[:2], vectors[2:]), by_function(first, second)
    points = domain(batch.spec)
    for i in range(2):
        for j in range(4):
            expected = 1 - torch.cosine_similarity(vectors[i], vectors[2 + j], dim=0)
            assert cosine[i, j] == pytest.approx(float(expected), abs=1e-6)
            difference = evaluate(first[i], points.double()) - evaluate(second[j], points.double())
            assert functions[i, j] == pytest.approx(float(difference.square().mean().sqrt()), rel=1e-6)


@pytest.mark.parametrize("inputs", [1, 2, 3, 5])
def test_the_domain_lies_in_the_square_and_is_the_same_again(inputs: int) -> None:
    points = domain(NetworkSpec((inputs, 3, 1)))
    assert points.shape[1] == inputs
    assert points.abs().max() <= 1
    assert torch.equal(points, domain(NetworkSpec((inputs, 3, 1))))


def test_distances_of_weights_are_those_of_aligned_pairs(random_batch, monkeypatch) -> None:
    batch = random_batch((2, 5, 4, 1))
    hidden = GroupElement.random(batch, {"permutation", "sign"}, torch.Generator().manual_seed(0)).apply(batch)
    monkeypatch.setattr(nearness, "PAIRS", 5)
    done = []
    found = by_weights(batch[:3], hidden, report=lambda *progress: done.append(progress))
    assert done == [(5, 18), (10, 18), (15, 18), (18, 18)]
    assert found[torch.arange(3), torch.arange(3)].abs().max() < 1e-9  # of one function, in another order
    for i in range(3):
        for j in range(6):
            other = align(batch[i], hidden[j]).apply(hidden[j])
            assert found[i, j] == pytest.approx(float((batch.params[i] - other.params[0]).norm()), abs=1e-9)


def test_networks_of_one_function_have_no_distance(random_batch) -> None:
    batch = random_batch((2, 5, 4, 1), count=40).to(dtype=torch.float32)
    assert by_function(batch, batch).diagonal().abs().max() == 0


def test_functions_are_computed_in_parts(random_batch, monkeypatch) -> None:
    batch = random_batch((2, 5, 4, 1), count=7)
    whole = by_function(batch, batch)
    monkeypatch.setattr(nearness, "PAIRS", 3)
    assert torch.equal(by_function(batch, batch), whole)


def test_queries_are_a_number_or_rows(zoo: Zoo) -> None:
    arguments = {"by": ["function"], "count": 1}
    eight = neighbours(zoo, queries=8, **arguments)
    assert torch.equal(neighbours(zoo, queries=np.int64(8), **arguments).queries, eight.queries)
    rows = zoo.rows("test")[:3]
    for given in (rows, rows.tolist(), rows.numpy()):
        assert torch.equal(neighbours(zoo, queries=given, **arguments).queries, rows)
    for wrong in (zoo.targets == 3, [True, False], [0.5], torch.tensor([1.0])):
        with pytest.raises(ConfigError, match="queries must be a number of networks, or rows"):
            neighbours(zoo, queries=wrong, **arguments)


def test_chance_is_that_of_other_networks(zoo: Zoo) -> None:
    rows = zoo.rows("train", first_view_only=True)
    found = neighbours(zoo, queries=len(rows), split="train", among="train", by=["function"], count=1)
    targets = zoo.targets[rows].tolist()
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    expected = sum(targets[i] == targets[j] for i, j in pairs) / len(pairs)
    assert found.chance() == pytest.approx(expected, rel=1e-6)


def test_each_query_may_lie_among_the_others(zoo: Zoo) -> None:
    count = len(zoo.rows("test", first_view_only=True))
    found = neighbours(zoo, queries=count, split="test", among="test", by=["function"], count=count - 1)
    assert found.found["function"].shape == (count, count - 1)
    with pytest.raises(ConfigError, match=f"for {count} neighbours there must be more"):
        neighbours(zoo, queries=count, split="test", among="test", by=["function"], count=count)


def test_neighbours_are_the_nearest_of_all(zoo: Zoo) -> None:
    torch.manual_seed(0)
    encoder = DWS(zoo.spec, 6, hidden=4, layers=1)
    encoder.fit_normaliser(zoo["train"][:])
    found = neighbours(zoo, encoder, queries=4, count=3)
    assert list(found.found) == ["embedding", "weights", "function"]
    assert found.among.tolist() == zoo.rows("train", first_view_only=True).tolist()
    assert len(found.queries) == 4
    assert set(found.queries.tolist()) <= set(zoo.rows("test").tolist())
    queries, others = zoo.batch(found.queries), zoo.batch(found.among)
    whole = {
        "embedding": by_embedding(embed(encoder, queries), embed(encoder, others)),
        "weights": by_weights(queries, others),
        "function": by_function(queries, others),
    }
    for way, distances in whole.items():
        assert torch.allclose(found.distances[way], distances.sort(dim=1).values[:, :3])
        assert torch.equal(found.found[way], found.among[distances.argsort(dim=1)[:, :3]])
    shares = found.agreement()
    assert shares is not None
    same = [
        zoo.targets[row] == zoo.targets[query]
        for query, rows in zip(found.queries, found.found["function"], strict=True)
        for row in rows
    ]
    assert shares["function"] == pytest.approx(sum(map(int, same)) / 12)
    assert "the 3 nearest of 60 networks to each of 4" in repr(found)


def test_a_network_is_not_its_own_neighbour_and_another_view_may_be(zoo: Zoo) -> None:
    rows = zoo.rows("train", first_view_only=True)[:3]
    found = neighbours(zoo, queries=rows, by=["function"], count=57)
    assert not (found.found["function"] == rows[:, None]).any()
    assert found.distances["function"].isfinite().all()
    views = zoo.rows("train")[zoo.views[zoo.rows("train")] == 1][:3]
    found = neighbours(zoo, queries=views, by=["function"], count=60)
    assert (zoo.objects[found.found["function"]] == zoo.objects[views][:, None]).any(1).all()


def test_numbers_have_no_classes(classifier_zoo: Path) -> None:
    found = neighbours(Zoo(classifier_zoo), queries=2, count=2)
    assert found.agreement() is None
    assert found.chance() is None
    assert repr(found).endswith("by weights; function")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"by": ["embedding"]}, ConfigError, "need an encoder"),
        ({"by": ["colour"]}, ConfigError, "colour"),
        ({"by": "weights"}, ConfigError, "must be a list"),
        ({"count": 0}, ConfigError, "count"),
        ({"count": 61}, ConfigError, "for 61 neighbours there must be more"),
        ({"queries": 0}, ConfigError, "queries"),
        ({"queries": [10_000]}, IndexError, "asked for 10000"),
        ({"split": "tests"}, ZooError, "no split 'tests'"),
        ({"among": "trains"}, ZooError, "no split 'trains'"),
        ({"group": "permutation+scale"}, SpecError, "scale"),
        ({"limit": 0}, ConfigError, "limit"),
    ],
)
def test_bad_input(zoo: Zoo, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        neighbours(zoo, **arguments)


def test_an_encoder_for_other_networks(zoo: Zoo) -> None:
    with pytest.raises(SpecError, match="the encoder is for networks 2-4-1"):
        neighbours(zoo, DWS(NetworkSpec((2, 4, 1)), 3))


def test_a_map_keeps_groups_together_and_is_the_same_again() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(3).repeat_interleave(20, 0)
    vectors = centres + 0.05 * torch.randn(60, 3, generator=generator)
    places = positions(vectors, seed=1)
    assert places.shape == (60, 2)
    nearest = torch.cdist(places, places).fill_diagonal_(torch.inf).argmin(1)
    assert ((nearest // 20) == torch.arange(60) // 20).all()
    assert torch.equal(positions(vectors, seed=1), places)


def test_what_has_no_map() -> None:
    with pytest.raises(ConfigError, match="needs 5 networks or more, found 4"):
        positions(torch.randn(4, 2))
    with pytest.raises(ConfigError, match="finite"):
        positions(torch.full((6, 2), torch.nan))
