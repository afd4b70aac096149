"""Backbones: networks/s of forward passes and training steps, eager and compiled; peak memory; growth; small CNNs.

Memory is the growth of a new process's peak over its use before the backbone is built; on another device than the
CPU, that of the device's memory.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path

import torch
from common import Report, rate, timed
from torch.nn import functional as F
from weightspace.backbones import (
    DWS,
    GNN,
    MLP,
    Backbone,
    Canonical,
    GraphTransformer,
    PhaseGNN,
    Probe,
    ScaleGNN,
    Statistics,
)
from weightspace.batch import WeightBatch
from weightspace.layers import Convolution
from weightspace.spec import NetworkSpec

CASES: dict[str, Callable[[NetworkSpec], Backbone]] = {
    "Statistics": lambda spec: Statistics(spec, 10),
    "MLP 64": lambda spec: MLP(spec, 10),
    "Canonical MLP 64": lambda spec: Canonical(spec, 10, MLP),
    "Probe 128": lambda spec: Probe(spec, 10),
    "DWS 16 x 3": lambda spec: DWS(spec, 10, hidden=16, layers=3),
    "DWS 16 x 3, no gate": lambda spec: DWS(spec, 10, hidden=16, layers=3, gate=False),
    "DWS 32 x 5": lambda spec: DWS(spec, 10, hidden=32, layers=5),
    "ScaleGNN 16 x 4": lambda spec: ScaleGNN(spec, 10, hidden=16, layers=4),
    "PhaseGNN 16 x 4": lambda spec: PhaseGNN(spec, 10, hidden=16, layers=4),
    "GNN 32 x 4": lambda spec: GNN(spec, 10, hidden=32, layers=4),
    "GraphTransformer": lambda spec: GraphTransformer(spec, 10),
    "GraphTransformer, recompute": lambda spec: GraphTransformer(spec, 10, recompute=True),
}
#: Replacements of backbones that need too much memory for large networks.
ON_LARGE = {"GraphTransformer": "GraphTransformer, recompute"}
USUAL = (2, 32, 32, 1)
LARGE = (2, 128, 128, 128, 1)
#: Unterthiner's: 4,970 numbers on 688 edges, of which 528 carry a kernel of nine; networks 2-32-32-1 have 1,120 edges.
SMALL_CNN = NetworkSpec((1, 16, 16, 16, 10), "relu", kernels=(*[Convolution(3, 2, 1)] * 3, None))
#: Backbones that evaluate their networks at points, or know sine activations alone.
NOT_FOR_CNNS = ("Probe", "PhaseGNN")
GROWTH = {"width 64": (2, 64, 64, 1), "width 128": (2, 128, 128, 1), "6 layers": (2, 32, 32, 32, 32, 32, 1)}


def networks(widths: tuple[int, ...], count: int, device: torch.device | str = "cpu") -> WeightBatch:
    return random_networks(NetworkSpec(widths, "sine", 30.0, 0.5), count, device)


def random_networks(spec: NetworkSpec, count: int, device: torch.device | str = "cpu") -> WeightBatch:
    params = 0.1 * torch.randn(count, spec.num_params)
    return WeightBatch(params, spec, torch.arange(count) % 10, num_classes=10).to(device)


def training_step(model: Backbone, batch: WeightBatch) -> Callable[[], int]:
    """Makes a function that runs a training step: forward, backward and AdamW."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def work() -> int:
        optimiser.zero_grad()
        F.cross_entropy(model(batch), batch.targets).backward()
        optimiser.step()
        return len(batch)

    return work


def training_rate(model: Backbone, batch: WeightBatch, seconds: float) -> float:
    """Networks/s of training steps."""
    return rate(training_step(model, batch), seconds, batch.device)


def forward_pass(model: Backbone, batch: WeightBatch) -> Callable[[], int]:
    def work() -> int:
        with torch.no_grad():
            model(batch)
        return len(batch)

    return work


def peak_memory(name: str, widths: tuple[int, ...], count: int, device: torch.device) -> float:
    """Peak memory in MB of two training steps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, widths, count, device))


def _grown(name: str, widths: tuple[int, ...], count: int, device: torch.device) -> float:
    batch = networks(widths, count, device)
    training_step(MLP(batch.spec, 10).to(device), batch)()  # allocates what every training needs
    before = _high_water(device)
    work = training_step(CASES[name](batch.spec).to(device), batch)
    for _ in range(2):
        work()
    return _high_water(device) - before


def _high_water(device: torch.device) -> float:
    """Peak memory of this process in MB. getrusage would start with the peak of the parent process."""
    if device.type != "cpu":
        return torch.accelerator.max_memory_allocated(device) / 1e6
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1e3


def usual_networks(report: Report, name: str, seconds: float) -> None:
    """Measures a backbone on networks 2-32-32-1 at batch sizes 64 and 256."""
    for count in (64,) if report.quick else (64, 256):
        batch = networks(USUAL, count, report.device)
        model = CASES[name](batch.spec).to(report.device)
        size = sum(p.numel() for p in model.parameters())
        label = f"{name} ({size:,} parameters), batch {count}"
        report.add(f"{label}, forward", rate(forward_pass(model, batch), seconds, batch.device), "networks/s")
        eager = report.add(f"{label}, training", training_rate(model, batch, seconds), "networks/s")
        report.add(f"{label}, peak memory", peak_memory(name, USUAL, count, report.device), "MB")
        if count == 64 and not report.quick:
            model.compile()
            _, compiling = timed(training_step(model, batch), batch.device)
            compiled = f"{label}, training, compiled (in {compiling:.0f} s)"
            report.add(compiled, training_rate(model, batch, seconds), "networks/s", eager)


def growing_networks(report: Report, name: str, seconds: float) -> None:
    """Measures eager training at batch size 32 relative to 2-32-32-1, and the memory for the largest networks."""

    def speed(name: str, widths: tuple[int, ...], seconds: float) -> float:
        batch = networks(widths, 32, report.device)
        return training_rate(CASES[name](batch.spec).to(report.device), batch, seconds)

    base = report.add(f"{name}, batch 32", speed(name, USUAL, seconds), "networks/s")
    for growth, widths in GROWTH.items():
        report.add(f"{name}, {growth}", speed(name, widths, seconds), "networks/s", base)
    name = ON_LARGE.get(name, name)
    label = f"{name}, 2-128-128-128-1"
    report.add(label, speed(name, LARGE, 1.0), "networks/s", base)
    report.add(f"{label}, peak memory", peak_memory(name, LARGE, 32, report.device), "MB")


def small_cnns(report: Report, name: str, seconds: float) -> None:
    """Measures eager training on small CNNs at batch size 32, relative to 2-32-32-1."""
    rates = []
    for batch in (networks(USUAL, 32, report.device), random_networks(SMALL_CNN, 32, report.device)):
        rates.append(training_rate(CASES[name](batch.spec).to(report.device), batch, seconds))
    base = report.add(f"{name}, batch 32", rates[0], "networks/s")
    report.add(f"{name}, small CNNs, batch 32", rates[1], "networks/s", base)


def main() -> None:
    report = Report(__doc__ or "", only="only the backbones whose name begins so")
    seconds = 1.0 if report.quick else 5.0
    chosen = [name for name in CASES if name.startswith(report.options.only or "")]
    for name in chosen[:3] if report.quick else chosen:
        usual_networks(report, name, seconds)
        if not report.quick:
            growing_networks(report, name, seconds / 2)
        if not name.startswith(NOT_FOR_CNNS):
            small_cnns(report, name, seconds / 2)
    report.finish()


if __name__ == "__main__":
    main()
