"""Zoos of synthetic networks 2-32-32-1, from 1,000 to 1,000,000 rows: writing, opening, random batches, memory.

Each size runs in a process of its own, so that memory is measured separately. Files are in a temporary folder (5 GB for
a million rows) and mostly in the page cache. The baseline of batches is `index_select` from memory in the same process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import Report, rate
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, ZooWriter
from weightspace.zoo.header import ZooHeader

SPEC = NetworkSpec((2, 32, 32, 1), "sine", 30.0)
SHARD_ROWS, BATCH = 4096, 256


def anonymous_memory() -> float:
    """Memory of the process in MB, without pages of files, which all processes share."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def write(path: Path, rows: int) -> None:
    target = {"kind": "class", "names": [str(label) for label in range(10)]}
    generator = torch.Generator().manual_seed(0)
    with ZooWriter(path, {}, ZooHeader(SPEC, target, ["psnr"], {}, [])) as writer:
        for part in torch.arange(rows).split(SHARD_ROWS):
            params = torch.randn(len(part), SPEC.num_params, generator=generator)
            columns = {"target": part % 10, "object": part, "view": part * 0, "split": (part * 0).to(torch.uint8)}
            writer.write({"params": params, "quality": torch.zeros(len(part), 1), **columns}, [])
        writer.finish()


def measure(rows: int, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path, before = Path(folder) / "zoo", anonymous_memory()
        start = time.perf_counter()
        write(path, rows)
        written, grown = time.perf_counter() - start, anonymous_memory() - before
        start = time.perf_counter()
        zoo = Zoo(path)
        opened = time.perf_counter() - start
        start = time.perf_counter()
        Zoo(path)
        again = time.perf_counter() - start
        generator = torch.Generator().manual_seed(1)
        before = anonymous_memory()

        def batch() -> int:
            zoo.params(torch.randint(rows, (BATCH,), generator=generator))
            return BATCH

        batches = rate(batch, seconds)
        reading = anonymous_memory() - before
        known = zoo.params(torch.arange(min(rows, 100_000)))

        def select() -> int:
            known.index_select(0, torch.randint(len(known), (BATCH,), generator=generator))
            return BATCH

        return {
            "written": rows / written, "grown": grown, "opened": opened, "again": again, "batches": batches,
            "reading": reading, "select": rate(select, seconds),
        }  # fmt: skip


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "--size":
        print(json.dumps(measure(int(sys.argv[2]), float(sys.argv[3]))))
        return
    report = Report(__doc__ or "", host_only="files are read into the memory of the host")
    sizes = (1_000, 10_000) if report.quick else (1_000, 10_000, 100_000, 1_000_000)
    for rows in sizes:
        command = [sys.executable, __file__, "--size", str(rows), "2" if report.quick else "10"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        base = report.add(f"{rows:,} rows: index_select in memory", found["select"], "networks/s")
        report.add(f"{rows:,} rows: random batches from files", found["batches"], "networks/s", base)
        report.add(f"{rows:,} rows: memory grown by reading", found["reading"], "MB")
        report.add(f"{rows:,} rows: writing", found["written"], "networks/s")
        report.add(f"{rows:,} rows: memory grown by writing", found["grown"], "MB")
        report.add(f"{rows:,} rows: opening, with checksums", 1000 * found["opened"], "ms")
        report.add(f"{rows:,} rows: opening again", 1000 * found["again"], "ms")
    report.finish()


if __name__ == "__main__":
    main()
