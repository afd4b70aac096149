from __future__ import annotations

import pickle

import pytest
import torch
from weightspace.batch import WeightBatch, pack_layers, soft_targets
from weightspace.errors import SpecError
from weightspace.spec import NetworkSpec


def test_layers_are_views_in_linear_order(random_batch) -> None:
    batch = random_batch((2, 3, 4, 1))
    for layer in (*batch.weights, *batch.biases):
        assert layer.untyped_storage().data_ptr() == batch.params.untyped_storage().data_ptr()
    one = batch.spec.unpack(batch.params[2])
    assert torch.equal(batch.weights[1][2], one["1.weight"])
    assert torch.equal(batch.biases[2][2], one["2.bias"])
    assert torch.equal(pack_layers(list(batch.weights), list(batch.biases)), batch.params)


def test_params_are_floating_point() -> None:
    spec = NetworkSpec((1, 1, 1), "relu")
    with pytest.raises(SpecError, match="params must be floating-point numbers, found torch.int64"):
        WeightBatch(torch.tensor([[1, 0, 1, 0]]), spec)


def test_a_dtype_may_come_first(random_batch) -> None:
    batch = random_batch()
    assert batch.to(torch.float32).params.dtype == torch.float32
    assert torch.equal(batch.to(torch.float32).params, batch.to(dtype=torch.float32).params)


def test_attributes_cannot_be_set(random_batch) -> None:
    batch = random_batch()
    with pytest.raises(AttributeError, match="read-only"):
        batch.params = torch.zeros(1)
    with pytest.raises(TypeError, match="colour"):
        batch.replace(colour=1)


def test_replace_shares_the_rest(random_batch) -> None:
    batch = random_batch()
    other = batch.replace(params=batch.params + 1, index=7)
    assert other.objects is batch.objects
    assert other.index == 7
    assert torch.equal(other.weights[0], batch.weights[0] + 1)


def test_to_casts_floats_only(random_batch) -> None:
    batch = random_batch().to(dtype=torch.float32)
    assert batch.params.dtype == torch.float32
    assert batch.targets.dtype == torch.int64
    assert batch.to("cpu").num_classes == 3


def test_pickles(random_batch) -> None:
    batch = random_batch()
    back = pickle.loads(pickle.dumps(batch))
    assert torch.equal(back.params, batch.params)
    assert (back.spec, back.num_classes) == (batch.spec, 3)


def test_wrong_shapes_are_refused() -> None:
    spec = NetworkSpec((2, 3, 1))
    with pytest.raises(SpecError, match=r"\(B, 13\)"):
        WeightBatch(torch.zeros(2, 12), spec)
    with pytest.raises(SpecError, match="targets must have one row"):
        WeightBatch(torch.zeros(2, 13), spec, torch.zeros(3))
    with pytest.raises(SpecError, match="objects must have one row for each of 2 networks, found a single number"):
        WeightBatch(torch.zeros(2, 13), spec, objects=torch.tensor(3))
    for name in ("targets", "objects", "views", "frame"):
        with pytest.raises(SpecError, match=f"{name} must be a tensor with one row for each of 2 networks, found list"):
            WeightBatch(torch.zeros(2, 13), spec, **{name: [0, 1]})


@pytest.mark.parametrize("frame", [torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2).int()])
def test_a_frame_of_another_kind_is_refused(frame: torch.Tensor) -> None:
    with pytest.raises(SpecError, match=r"frame must be \(B, F\) of torch.int32, as ZooAlignment.frames returns it"):
        WeightBatch(torch.zeros(2, 13), NetworkSpec((2, 3, 1)), frame=frame)


def test_soft_targets(random_batch) -> None:
    batch = random_batch(count=2)
    assert soft_targets(batch).tolist() == [[1, 0, 0], [0, 1, 0]]
    soft = batch.replace(targets=torch.full((2, 3), 1 / 3))
    assert soft_targets(soft) is soft.targets
    with pytest.raises(ValueError, match="no targets"):
        soft_targets(batch.replace(targets=None))


def test_select_takes_rows_with_all_that_is_known_of_them(random_batch) -> None:
    batch = random_batch()
    rows = torch.tensor([3, 3, 0])
    chosen = batch.select(rows)
    assert torch.equal(chosen.params, batch.params[rows])
    assert chosen.targets.tolist() == [0, 0, 0]
    assert chosen.objects.tolist() == [3, 3, 0]
    assert len(batch.select(batch.objects > 3)) == 2
    assert [batch[index].objects.tolist() for index in (0, -1, slice(1, 3), [3, 1], batch.objects > 3)] == [
        [0],
        [len(batch) - 1],
        [1, 2],
        [3, 1],
        [4, 5],
    ]
    assert [len(network) for network in batch] == [1] * len(batch)
    with pytest.raises(IndexError):
        batch[len(batch)]
