"""Assignments against scipy's solver and brute force, and which solver is used."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from weightspace.errors import ConfigError
from weightspace.symmetry.assignment import SOLVERS, assign, describe_solver, solver, use_solver
from weightspace.symmetry.blocks import in_threads


@pytest.fixture(params=SOLVERS)
def each_solver(request: pytest.FixtureRequest) -> Iterator[str]:
    before = use_solver(request.param)
    yield request.param
    use_solver(before)


def normal(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def check(scores: Tensor) -> None:
    """As large a total as that of the bare solver in float64, up to the rounding of the balancing."""
    width, precision = scores.shape[1], torch.finfo(scores.dtype).eps
    for matrix, order in zip(scores.double(), assign(scores), strict=True):
        rows, columns = linear_sum_assignment(matrix.numpy(), maximize=True)
        best, found = matrix[rows, columns].sum(), matrix[torch.arange(width), order].sum()
        assert sorted(order.tolist()) == list(range(width))
        assert found >= best - 8 * precision * matrix.abs().max() * width


def test_assignments_have_the_largest_total(each_solver: str) -> None:
    scores = normal(7, 4, 4)
    for matrix, order in zip(scores, assign(scores), strict=True):
        best = max(sum(matrix[i, p[i]] for i in range(4)) for p in itertools.permutations(range(4)))
        assert float(matrix[torch.arange(4), order].sum()) == pytest.approx(float(best))
    assert assign(torch.zeros(0, 4, 4)).shape == (0, 4)


@pytest.mark.parametrize("width", [1, 2, 3, 33, 70, 129])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_that_are_hard_to_balance_or_to_solve(each_solver: str, width: int, dtype: torch.dtype) -> None:
    matrix = normal(4, width, width, dtype=dtype)
    dominant = matrix.clone()
    dominant[:, :, 0] += 1e6
    for scores in (
        matrix,
        matrix.round(),  # many ties
        (matrix > 0).to(dtype),
        matrix[:, :1].expand(-1, width, -1),  # equal rows
        torch.full_like(matrix, 3.3),
        1 + 1e-6 * matrix,
        dominant,
        matrix[:, :, :1] * matrix[:, :1],
        matrix.exp() ** 8,
        -(matrix.cosh() ** 9),
        1e-30 * matrix,
        1e30 * matrix,
        10.0 ** (6 * matrix[:, :, :1]) * matrix,
        torch.eye(width, dtype=dtype).expand(2, -1, -1),
    ):
        check(scores)


def test_strides_do_not_matter(each_solver: str) -> None:
    scores = normal(6, 9, 9)
    expected = assign(scores)
    assert torch.equal(assign(scores.transpose(1, 2).contiguous().transpose(1, 2)), expected)
    assert torch.equal(assign(scores.repeat_interleave(2, 0)[::2]), expected)
    assert torch.equal(assign(scores.transpose(1, 2)), expected.argsort(1)), "the inverse"


def test_both_solvers_find_the_same(each_solver: str) -> None:
    scores = normal(50, 40, 40, dtype=torch.float32)
    found = assign(scores)
    use_solver("scipy")
    assert torch.equal(found, assign(scores))
    assert torch.equal(found[20:30], assign(scores[20:30])), "also in other company"


def test_scores_that_are_not_finite_end_with_an_error(each_solver: str) -> None:
    scores = normal(3, 5, 5)
    scores[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match="infeasible|invalid numeric entries"):
        assign(scores)


def test_a_forked_process_assigns_too(each_solver: str) -> None:
    scores = normal(200, 32, 32)
    expected = in_threads(assign, scores.split(20), scores.device)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def work() -> None:
        torch.set_num_threads(1)  # as in a loader worker
        answers.put(assign(scores).tolist())

    process = context.Process(target=work)
    process.start()
    assert answers.get(timeout=30) == torch.cat(expected).tolist()
    process.join(30)
    assert process.exitcode == 0


def test_the_solver_is_chosen_and_named() -> None:
    assert solver() == "lapx"
    assert use_solver("scipy") is None
    assert solver() == "scipy"
    assert use_solver(None) == "scipy"
    assert describe_solver("lapx").startswith("lapx 0.")
    assert describe_solver("no-such-solver") == "no-such-solver unknown"  # a copy on the path, which has no metadata
    with pytest.raises(ConfigError, match="unknown assignment solver 'hungarian': there are lapx and scipy"):
        use_solver("hungarian")


def test_another_distribution_with_a_module_lap_is_not_lapx(tmp_path: Path) -> None:
    (tmp_path / "lap.py").write_text("def lapjv(): pass\n")
    code = """if True:
        import torch
        from weightspace.symmetry.assignment import assign, solver, use_solver
        print(solver(), assign(torch.eye(3)[None]).tolist())
        use_solver("lapx")
        assign(torch.eye(3)[None])"""
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "scipy [[0, 1, 2]]\n"
    assert "ConfigError: the assignment solver lapx was asked for" in done.stderr
    assert "cannot import name 'lapjvr_batch'" in done.stderr
    assert done.returncode == 1


def test_blocks_come_back_in_order_and_errors_come_through() -> None:
    device, before = torch.device("cpu"), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert in_threads(lambda n: (n, torch.get_num_threads()), range(9), device) == [(n, 1) for n in range(9)]
        with pytest.raises(ZeroDivisionError):
            in_threads(lambda n: 1 // n, [3, 0, 2], device)
        assert torch.get_num_threads() == 3
        assert in_threads(lambda n: n, [], device) == []
        torch.set_num_threads(1)
        assert in_threads(lambda n: (n, torch.get_num_threads()), [5, 6], device) == [(5, 1), (6, 1)]
    finally:
        torch.set_num_threads(before)
