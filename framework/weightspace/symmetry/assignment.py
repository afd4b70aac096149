"""The linear assignment problem for batches of matrices, and the solver that is used for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from weightspace.errors import ConfigError
from weightspace.symmetry.balancing import balanced

#: Distributions whose solvers ``assign`` can use, the preferred one first.
SOLVERS = ("lapx", "scipy")

#: Solver that was asked for; None: the preferred one of those that can be imported.
_asked: str | None = None


def assign(scores: Tensor) -> Tensor:
    """Solves the linear assignment problem for each matrix: columns for rows, with the largest total score.

    Rows and columns are balanced first, for all matrices at once, which leaves the solution unchanged and shortens the
    solver's paths. lapx (Jonker and Volgenant, Computing 38, 1987) then takes all matrices in one call; scipy's solver
    (Crouse, IEEE TAES 52, 2016) goes through them one by one. Both are exact, with potentials in float64: they differ
    only where several assignments have the same total. The calling thread does all the work.

    Args:
        scores: (B, n, n), finite.

    Returns:
        (B, n) int64, the column of each row, on the device of ``scores``.

    Raises:
        ConfigError: a solver was asked for that cannot be imported here.

    >>> assign(torch.tensor([[[1.0, 5.0], [2.0, 3.0]]]))
    tensor([[1, 0]])
    """
    solve = _lapx if solver() == "lapx" else _scipy
    costs = _on_host(balanced(scores))
    columns = torch.empty(costs.shape[:2], dtype=torch.int64, device="cpu", pin_memory=costs.is_pinned())
    solve(costs.numpy(), columns.numpy())
    return columns.to(scores.device, non_blocking=columns.is_pinned())


def solver() -> str:
    """Name of the solver that ``assign`` uses: that of ``use_solver``, or "lapx", or "scipy" if there is no lapx.

    Raises:
        ConfigError: a solver was asked for that cannot be imported here.
    """
    missing = _missing_lapx()
    if _asked == "lapx" and missing:
        raise ConfigError(
            f"the assignment solver lapx was asked for, in Python or by a run that began with it, but it cannot be "
            f"imported here ({missing}): install it (pip install lapx), or begin a new run, which takes scipy's"
        )
    return _asked or ("scipy" if missing else "lapx")


def use_solver(name: str | None) -> str | None:
    """Sets the solver that ``assign`` uses in this process from now on; returns what was asked for before.

    Args:
        name: "lapx" or "scipy"; None: lapx, or scipy where lapx cannot be imported.

    Raises:
        ConfigError: an unknown solver.
    """
    global _asked
    if name not in (*SOLVERS, None):
        raise ConfigError(f"unknown assignment solver {name!r}: there are {' and '.join(SOLVERS)}")
    before, _asked = _asked, name
    return before


def describe_solver(name: str) -> str:
    """Name and version of a solver, for provenance."""
    return f"{name} {solver_version(name)}"


def solver_version(name: str) -> str:
    """Version of a solver; "unknown" where no distribution of this name is installed, as for a copy on the path."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _missing_lapx() -> str:
    """Why lapx cannot be used, or nothing: another distribution with a module ``lap`` lacks the solver."""
    try:
        from lap import lapjvr_batch  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def _lapx(costs: np.ndarray, columns: np.ndarray) -> None:
    from lap import lapjvr_batch

    # one thread: a native pool would not survive a fork, such as that of loader workers
    for row, found in enumerate(lapjvr_batch(costs, return_cost=False, n_threads=1)[1]):
        columns[row] = found


def _scipy(costs: np.ndarray, columns: np.ndarray) -> None:
    for row, cost in enumerate(costs):
        columns[row] = linear_sum_assignment(cost)[1]


def _on_host(costs: Tensor) -> Tensor:
    """The costs in the memory of the host, in float32 or float64; all matrices of a GPU in one transfer."""
    costs = costs if costs.dtype == torch.float64 else costs.float()
    if costs.device.type != "cuda":
        return costs.cpu()
    pinned = torch.empty(costs.shape, dtype=costs.dtype, device="cpu", pin_memory=True)
    pinned.copy_(costs, non_blocking=True)
    torch.cuda.current_stream(costs.device).synchronize()  # this stream alone: others go on with other blocks
    return pinned
