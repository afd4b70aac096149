"""Loading batches of 256 networks 2-32-32-1 with the data module, compared with a bare index_select in memory.

For another device than the CPU, the transfer is part of both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from common import Report, rate
from weightspace.data import ZooDataModule
from weightspace.spec import NetworkSpec
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.writer import ZooWriter


def synthetic_zoo(path: Path, rows: int) -> None:
    """Writes random numbers as a zoo, since the speed of loading does not depend on them."""
    spec = NetworkSpec((2, 32, 32, 1), "sine", 30.0, 0.5)
    header = ZooHeader(spec, {"kind": "class", "names": [str(i) for i in range(10)]}, ["psnr"], {}, [])
    with ZooWriter(path, {}, header) as writer:
        writer.write(
            {
                "params": torch.randn(rows, spec.num_params),
                "target": torch.arange(rows) % 10,
                "object": torch.arange(rows),
                "view": torch.zeros(rows, dtype=torch.int64),
                "split": torch.zeros(rows, dtype=torch.uint8),
                "quality": torch.zeros(rows, 1),
            },
            [],
        )
        writer.finish()


def epoch(data: ZooDataModule, device: torch.device) -> Callable[[], int]:
    """Makes a function that takes all training batches to a device and through the chain, as Lightning does."""
    kind = {"cuda": "gpu"}.get(device.type, device.type)
    where = {"accelerator": kind, "devices": 1 if device.index is None or kind == "cpu" else [device.index]}
    data.trainer = pl.Trainer(**where, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    loader = data.train_dataloader()

    def work() -> int:
        moved = (data.transfer_batch_to_device(batch, device, 0) for batch in loader)
        return sum(len(data.on_after_batch_transfer(batch, 0)) for batch in moved)

    return work


def main() -> None:
    report = Report(__doc__ or "")
    rows, seconds = (20_000, 4.0) if report.quick else (100_000, 15.0)
    with tempfile.TemporaryDirectory() as folder:
        synthetic_zoo(Path(folder) / "zoo", rows)
        data = ZooDataModule(str(Path(folder) / "zoo"), batch_size=256)
        params = data.zoo.params(torch.arange(rows))

        def bare() -> int:
            for index in torch.randperm(rows).split(256):
                params.index_select(0, index).to(report.device)
            return rows

        base = report.add("index_select", rate(bare, seconds, report.device), "networks/s")
        speed = rate(epoch(data, report.device), seconds, report.device)
        report.add("data module, 0 workers", speed, "networks/s", base)
    report.finish()


if __name__ == "__main__":
    main()
