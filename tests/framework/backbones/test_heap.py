"""Memory that a step has freed is there for the next one: page faults of a new process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from weightspace.backbones.heap import VARIABLES

PROGRAM = """
import resource, torch
from weightspace.backbones import MLP
from weightspace.spec import NetworkSpec
MLP(NetworkSpec((2, 3, 1)), 1)

def step():
    kept = [torch.ones(2**20) for _ in range(16)]  # 4 MB each

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = (
    4 * 16 * 1024
)  # of 4 kB, that four steps write to; a tensor or two may come to lie elsewhere than in the first step


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's limits")
@pytest.mark.parametrize(
    ("variables", "low", "high"), [({}, 0, PAGES // 20), ({VARIABLES[0]: "131072"}, PAGES // 4, 2 * PAGES)]
)
def test_a_step_uses_the_memory_of_the_one_before(variables: dict[str, str], low: int, high: int) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=inherited | variables, capture_output=True, text=True, check=True
    )
    assert low <= int(result.stdout) < high
