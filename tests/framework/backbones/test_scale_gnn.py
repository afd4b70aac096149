"""The layers of ScaleGNN against loops over neurons, and gradients by hand against those of autograd."""

from __future__ import annotations

import pytest
import torch
from weightspace.backbones import edge_messages
from weightspace.backbones.edge_messages import Ends, edges_and_messages

SHAPE = (3, 4, 2, 3)  # networks, rows, columns, features


def arguments(bias: bool) -> list[torch.Tensor | None]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)

    count, n, m, width = SHAPE
    ends = [draw(count, size, width) for size in (n, m, n, m, n, m)]
    return [draw(*SHAPE), draw(width, width), draw(width) if bias else None, *ends]


def by_hand(edge, weight, bias, *ends):
    return edges_and_messages(edge, weight, bias, Ends(*ends))


@pytest.fixture(params=[1, 2, 131_072], ids="{} networks at a time".format)
def parts(request, monkeypatch) -> None:
    _, *sizes = SHAPE
    monkeypatch.setattr(edge_messages, "NUMBERS_AT_A_TIME", request.param * int(torch.tensor(sizes).prod()))


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("bias", [False, True])
def test_edges_and_messages_are_a_loop_over_neurons(bias: bool) -> None:
    edge, weight, offset, *rest = arguments(bias)
    ends = Ends(*rest)
    new, to_rows, to_columns = by_hand(edge, weight, offset, *ends)
    count, n, m, _ = SHAPE
    for b in range(count):
        expected = {}
        for i in range(n):
            for j in range(m):
                added = weight @ edge[b, i, j] + ends.row[b, i] * ends.column[b, j] + (0 if offset is None else offset)
                gate = (ends.gate_row[b, i] + ends.gate_column[b, j]).sigmoid()
                expected[i, j] = edge[b, i, j] + added * gate
                assert torch.allclose(new[b, i, j], expected[i, j], atol=1e-12)
        for i in range(n):
            message = sum(expected[i, j] * ends.odd_column[b, j] for j in range(m)) / m**0.5
            assert torch.allclose(to_rows[b, i], message, atol=1e-12)
        for j in range(m):
            message = sum(expected[i, j] * ends.odd_row[b, i] for i in range(n)) / n**0.5
            assert torch.allclose(to_columns[b, j], message, atol=1e-12)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("bias", [False, True])
def test_the_gradient_of_edges_and_messages_is_right(bias: bool) -> None:
    assert torch.autograd.gradcheck(by_hand, arguments(bias))


def test_edges_keep_their_precision() -> None:
    edge, weight, _, *ends = (a if a is None else a.detach() for a in arguments(False))
    results = by_hand(edge.bfloat16(), weight.float(), None, *(end.float() for end in ends))
    assert {result.dtype for result in results} == {torch.bfloat16}
