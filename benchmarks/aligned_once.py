"""Aligning a zoo once instead of in every step: networks per second, and time per epoch of training a DWS."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from common import Report, synchronise
from torch.nn import functional as F
from weightspace.backbones import DWS
from weightspace.batch import soft_targets
from weightspace.data import ZooDataModule
from weightspace.fitting import fit_zoo
from weightspace.zoo import Zoo, align_zoo

MIXUP = {"alpha": 1.0, "p": 0.5}
CHAINS = {
    "none": [],
    "mixup_aligned, pairwise": [{"mixup_aligned": MIXUP}],
    "mixup_aligned, stored": [{"mixup_aligned": {**MIXUP, "stored": "mean"}}],
}


def main() -> None:
    report = Report(__doc__ or "", zoo="train on this zoo, which is aligned to its mean, instead of 1,024 digits")
    with tempfile.TemporaryDirectory() as folder:
        if report.options.zoo:
            zoo = Zoo(report.options.zoo)
        else:
            zoo = fit_zoo("digits", Path(folder) / "zoo", train=1024, recipe="siren", steps=60)
        aligned(report, zoo)
        epochs(report, zoo)
    report.finish()


def aligned(report: Report, zoo: Zoo) -> None:
    """The whole command: all passes, with what is written."""
    device = str(report.device)
    for to, passes in (("untrained", 1), ("mean", 4)):
        if to not in zoo.alignments or not report.options.zoo:
            start = time.perf_counter()
            align_zoo(zoo, to, device=device)
            report.add(f"align to {to}, {passes} x", len(zoo) / (time.perf_counter() - start), "networks/s")


def epochs(report: Report, zoo: Zoo) -> None:
    """Median seconds per epoch; one epoch of each chain in turn."""
    found: dict[str, list[float]] = {name: [] for name in CHAINS}
    modules = {name: ZooDataModule(zoo, augmentations=chain) for name, chain in CHAINS.items()}
    parts = {name: (data, data.train_dataloader(), *model_of(zoo, report)) for name, data in modules.items()}
    for _ in range(4 if report.quick else 12):
        for name, (data, loader, model, optimiser) in parts.items():
            start = time.perf_counter()
            for batch in loader:
                augmented = data.chain(batch.to(report.device))
                loss = F.cross_entropy(model(augmented), soft_targets(augmented))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            synchronise(report.device)
            found[name].append(time.perf_counter() - start)
    medians = {name: sorted(seconds[1:])[len(seconds) // 2 - 1] for name, seconds in found.items()}
    baseline = report.add("epoch, none", 1e3 * medians["none"], "ms")
    for name in list(CHAINS)[1:]:
        report.add(f"epoch, {name}", 1e3 * medians[name], "ms", baseline)


def model_of(zoo: Zoo, report: Report) -> tuple[DWS, torch.optim.Optimizer]:
    model = DWS(zoo.spec, len(zoo.class_names or ()), hidden=16, layers=3).to(report.device)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    main()
