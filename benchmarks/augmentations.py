"""Cost of each augmentation compared with a DWS training step: networks 2-32-32-1, batch 128."""

from __future__ import annotations

from typing import Any

import torch
from alignment import fitted
from backbones import training_rate
from common import Report, rate
from weightspace.augment import AugmentationChain, build_augmentations, list_augmentations
from weightspace.backbones import DWS
from weightspace.errors import AugmentationError
from weightspace.symmetry import align, pack_element

BATCH = 128
#: Augmentations with other parameters, by their names in the report.
OTHERS: dict[str, Any] = {
    "mixup_aligned, stored": {"mixup_aligned": {"stored": True}},
    "mixup_aligned, nearest": {"mixup_aligned": {"partners": "nearest"}},
    "mixup_aligned, nearest_same_class": {"mixup_aligned": {"partners": "nearest_same_class"}},
    "one_of: sign_flip, gaussian_noise": {"one_of": ["sign_flip", "gaussian_noise"]},
    "one_of: 5 parts": {"one_of": ["rotate", "sign_flip", "permute", "gaussian_noise", "dropout"]},
    "some_of: 2 of 5 parts": {
        "some_of": {"count": 2, "of": ["rotate", "sign_flip", "permute", "gaussian_noise", "dropout"]}
    },
    "repeat: gaussian_noise, 2 times": {"repeat": {"of": "gaussian_noise", "times": 2}},
}


def main() -> None:
    report = Report(__doc__ or "")
    seconds = 1.0 if report.quick else 3.0
    batch = fitted("sine", BATCH).replace(targets=torch.arange(BATCH) % 10, num_classes=10).to(report.device)
    model = DWS(batch.spec, 10, hidden=16, layers=3).to(report.device)
    step = report.add("DWS training step, eager", 1e3 * BATCH / training_rate(model, batch, 3 * seconds), "ms")
    reference = batch.replace(params=batch.params[:1].expand(BATCH, -1))
    batch = batch.replace(frame=pack_element(align(reference, batch)))
    for name, entry in {**{name: name for name in list_augmentations()}, **OTHERS}.items():
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
