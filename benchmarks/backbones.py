"""Training steps of the backbones on networks 2-32-32-1, batch 64: eager and compiled."""

from __future__ import annotations

import time

import torch
from common import Report, rate
from torch.nn import functional as F
from weightspace.backbones import DWS, MLP, Backbone
from weightspace.batch import WeightBatch
from weightspace.spec import NetworkSpec

CASES = {
    "MLP 64": lambda spec: MLP(spec, 10),
    "DWS hidden 16, 3 layers": lambda spec: DWS(spec, 10, hidden=16, layers=3),
    "DWS hidden 16, 3 layers, no gate": lambda spec: DWS(spec, 10, hidden=16, layers=3, gate=False),
    "DWS hidden 32, 5 layers": lambda spec: DWS(spec, 10, hidden=32, layers=5),
}


def training_rate(model: Backbone, batch: WeightBatch, seconds: float) -> float:
    """Networks per second: forward, backward and AdamW."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def work() -> int:
        optimiser.zero_grad()
        F.cross_entropy(model(batch), batch.targets).backward()
        optimiser.step()
        return len(batch)

    return rate(work, seconds)


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 2.0 if report.quick else 10.0
    spec = NetworkSpec((2, 32, 32, 1), "sine", 30.0, 0.5)
    batch = WeightBatch(torch.randn(64, spec.num_params), spec, torch.arange(64) % 10, num_classes=10)
    for name, make in list(CASES.items())[: 2 if report.quick else None]:
        model = make(spec)
        count = sum(p.numel() for p in model.parameters())
        eager = report.add(f"{name} ({count:,} parameters), eager", training_rate(model, batch, seconds), "networks/s")
        model.compile()
        start = time.perf_counter()
        model(batch).sum().backward()
        compiling = time.perf_counter() - start
        label = f"{name}, compiled (in {compiling:.0f} s)"
        report.add(label, training_rate(model, batch, seconds), "networks/s", eager)
    report.finish()


if __name__ == "__main__":
    main()
