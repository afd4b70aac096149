"""Cost of each augmentation compared with a DWS training step: networks 2-32-32-1, batch 128."""

from __future__ import annotations

import torch
from alignment import fitted
from backbones import training_rate
from common import Report, rate
from weightspace.augment import AugmentationChain, build_augmentations, list_augmentations
from weightspace.backbones import DWS
from weightspace.errors import AugmentationError
from weightspace.symmetry import align, pack_element

BATCH = 128


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 1.0 if report.quick else 3.0
    batch = fitted("sine", BATCH).replace(targets=torch.arange(BATCH) % 10, num_classes=10).to(report.device)
    model = DWS(batch.spec, 10, hidden=16, layers=3).to(report.device)
    step = report.add("DWS training step, eager", 1e3 * BATCH / training_rate(model, batch, 3 * seconds), "ms")
    reference = batch.replace(params=batch.params[:1].expand(BATCH, -1))
    batch = batch.replace(frame=pack_element(align(reference, batch)))
    stored = {"mixup_aligned": {"stored": True}}
    for entry in (*list_augmentations(), stored):
        name = "mixup_aligned, stored" if entry is stored else str(entry)
        try:
            (augmentation,) = build_augmentations([entry])
            augmentation.check(batch.spec, "class")
        except AugmentationError:
            continue
        chain = AugmentationChain([augmentation], seed=0)

        def work(chain: AugmentationChain = chain) -> int:
            return len(chain(batch))

        report.add(name, 1e3 * BATCH / rate(work, seconds, report.device), "ms", step)
    report.finish()


if __name__ == "__main__":
    main()
