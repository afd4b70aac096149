"""Prints constraints.txt with the lower bounds of setup.py in place of the tested versions; torch keeps its own."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTED = ("TEST", "DOCS")  # lists of setup.py whose packages keep the versions of constraints.txt


def lower_bounds(setup: str) -> dict[str, str]:
    """The lowest version of each package that the lists of requirements in setup.py allow."""
    lists = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in ast.parse(setup).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    }
    asked = [requirement for name, asked in lists.items() if name not in TESTED for requirement in asked]
    return dict(re.findall(r"^([\w-]+)(?:\[[\w,]+\])?[>~]=([\d.]+)", "\n".join(asked), flags=re.MULTILINE))


if __name__ == "__main__":
    bounds = lower_bounds((ROOT / "setup.py").read_text(encoding="utf-8"))
    for name, tested in re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE):
        print(f"{name}=={tested if name == 'torch' else bounds.get(name, tested)}")
