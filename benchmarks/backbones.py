"""Backbones: networks/s of forward passes and training steps, eager and compiled; peak memory; growth with networks.

Memory is the growth of a new process's peak over its use before the backbone is built.
"""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import Report, rate
from torch.nn import functional as F
from weightspace.backbones import DWS, GNN, MLP, Backbone, Canonical, GraphTransformer, Probe, ScaleGNN
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec

CASES: dict[str, Callable[[NetworkSpec], Backbone]] = {
    "MLP 64": lambda spec: MLP(spec, 10),
    "Canonical MLP 64": lambda spec: Canonical(spec, 10, MLP),
    "Probe 128": lambda spec: Probe(spec, 10),
    "DWS 16 x 3": lambda spec: DWS(spec, 10, hidden=16, layers=3),
    "DWS 16 x 3, no gate": lambda spec: DWS(spec, 10, hidden=16, layers=3, gate=False),
    "DWS 32 x 5": lambda spec: DWS(spec, 10, hidden=32, layers=5),
    "ScaleGNN 16 x 4": lambda spec: ScaleGNN(spec, 10, hidden=16, layers=4),
    "GNN 32 x 4": lambda spec: GNN(spec, 10, hidden=32, layers=4),
    "GraphTransformer": lambda spec: GraphTransformer(spec, 10),
    "GraphTransformer, recompute": lambda spec: GraphTransformer(spec, 10, recompute=True),
}
#: Replacements of backbones that need too much memory for large networks.
ON_LARGE = {"GraphTransformer": "GraphTransformer, recompute"}
USUAL = (2, 32, 32, 1)
LARGE = (2, 128, 128, 128, 1)
GROWTH = {"width 64": (2, 64, 64, 1), "width 128": (2, 128, 128, 1), "6 layers": (2, 32, 32, 32, 32, 32, 1)}


def networks(widths: tuple[int, ...], count: int) -> WeightBatch:
    spec = NetworkSpec(widths, "sine", 30.0, 0.5)
    params = 0.1 * torch.randn(count, spec.num_params)
    return WeightBatch(params, spec, torch.arange(count) % 10, num_classes=10)


def training_step(model: Backbone, batch: WeightBatch) -> Callable[[], int]:
    """Makes a function that runs a training step: forward, backward and AdamW."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def work() -> int:
        optimiser.zero_grad()
        F.cross_entropy(model(batch), batch.targets).backward()
        optimiser.step()
        return len(batch)

    return work


def forward_pass(model: Backbone, batch: WeightBatch) -> Callable[[], int]:
    def work() -> int:
        with torch.no_grad():
            model(batch)
        return len(batch)

    return work


def peak_memory(name: str, widths: tuple[int, ...], count: int) -> float:
    """Peak memory in MB of two training steps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, widths, count))


def _grown(name: str, widths: tuple[int, ...], count: int) -> float:
    batch = networks(widths, count)
    training_step(MLP(batch.spec, 10), batch)()  # allocates what every training needs
    before = _high_water()
    work = training_step(CASES[name](batch.spec), batch)
    for _ in range(2):
        work()
    return _high_water() - before


def _high_water() -> float:
    """Peak memory of this process in MB. getrusage would start with the peak of the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1e3


def usual_networks(report: Report, name: str, seconds: float) -> None:
    """Measures a backbone on networks 2-32-32-1 at batch sizes 64 and 256."""
    for count in (64,) if report.quick else (64, 256):
        batch = networks(USUAL, count)
        model = CASES[name](batch.spec)
        size = sum(p.numel() for p in model.parameters())
        label = f"{name} ({size:,} parameters), batch {count}"
        report.add(f"{label}, forward", rate(forward_pass(model, batch), seconds), "networks/s")
        eager = report.add(f"{label}, training", rate(training_step(model, batch), seconds), "networks/s")
        report.add(f"{label}, peak memory", peak_memory(name, USUAL, count), "MB")
        if count == 64 and not report.quick:
            model.compile()
            start = time.perf_counter()
            training_step(model, batch)()
            compiling = time.perf_counter() - start
            compiled = f"{label}, training, compiled (in {compiling:.0f} s)"
            report.add(compiled, rate(training_step(model, batch), seconds), "networks/s", eager)


def growing_networks(report: Report, name: str, seconds: float) -> None:
    """Measures eager training at batch size 32 relative to 2-32-32-1, and the memory for the largest networks."""
    batch = networks(USUAL, 32)
    base = report.add(f"{name}, batch 32", rate(training_step(CASES[name](batch.spec), batch), seconds), "networks/s")
    for growth, widths in GROWTH.items():
        batch = networks(widths, 32)
        speed = rate(training_step(CASES[name](batch.spec), batch), seconds)
        report.add(f"{name}, {growth}", speed, "networks/s", base)
    batch = networks(LARGE, 32)
    name = ON_LARGE.get(name, name)
    label = f"{name}, 2-128-128-128-1"
    report.add(label, rate(training_step(CASES[name](batch.spec), batch), 1.0), "networks/s", base)
    report.add(f"{label}, peak memory", peak_memory(name, LARGE, 32), "MB")


def main() -> None:
    report = Report(__doc__ or "", only="only the backbones whose name begins so")
    seconds = 1.0 if report.quick else 5.0
    chosen = [name for name in CASES if name.startswith(report.options.only or "")]
    for name in chosen[:3] if report.quick else chosen:
        usual_networks(report, name, seconds)
        if not report.quick:
            growing_networks(report, name, seconds / 2)
    report.finish()


if __name__ == "__main__":
    main()
