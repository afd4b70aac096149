"""Loading batches of 256 networks 2-32-32-1 with the data module, compared with a bare index_select."""

from __future__ import annotations

import tempfile
from pathlib import Path

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


def main() -> None:
    report = Report(__doc__ or "")
    rows, seconds = (20_000, 4.0) if report.quick else (100_000, 15.0)
    with tempfile.TemporaryDirectory() as folder:
        synthetic_zoo(Path(folder) / "zoo", rows)
        data = ZooDataModule(str(Path(folder) / "zoo"), batch_size=256)
        loader = data.train_dataloader()
        params = data.zoo.params(torch.arange(rows))

        def bare() -> int:
            for index in torch.randperm(rows).split(256):
                params.index_select(0, index)
            return rows

        def whole() -> int:
            return sum(len(data.on_after_batch_transfer(batch, 0)) for batch in loader)

        base = report.add("index_select", rate(bare, seconds), "networks/s")
        report.add("data module, 0 workers", rate(whole, seconds), "networks/s", base)
    report.finish()


if __name__ == "__main__":
    main()
