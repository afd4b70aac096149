"""Peak memory of commands for growing zoos: fits of digits with 1 to 100 views of 1,000 objects (2-32-32-1, 50 steps),
and imports of as many files. Each command is a process of its own; times include its start, and peaks, as reported by
the operating system, include pages of files. Then the private and mapped memory of loader processes that read one zoo.

100,000 networks need 4 GB in the temporary folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import Report
from torch.utils.data import DataLoader, get_worker_info
from weightspace.data.sampling import BatchIndex, ZooDataset
from weightspace.zoo import Zoo

OBJECTS = 1000


#: Runs a command, then prints its peak memory in kB, without that of its parent process.
RUN = """
import pathlib, re, sys
from weightspace.cli.main import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def command(*words: str) -> tuple[float, float]:
    """Runs a command; returns seconds and peak memory in MB."""
    start = time.perf_counter()
    output = subprocess.run([sys.executable, "-c", RUN, *words], check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - start, int(output.splitlines()[-1]) / 1024


def published(zoo: Zoo, root: Path) -> None:
    """Writes a zoo as a tree of state_dicts and a list of splits."""
    root.mkdir()
    splits: dict[str, dict[str, list[str]]] = {"train": {"path": [], "label": []}}
    for row, params in enumerate(zoo.params(torch.arange(len(zoo)))):
        item, view, label = (int(column[row]) for column in (zoo.objects, zoo.views, zoo.targets))
        tensors = enumerate(zoo.spec.unpack(params).values())
        state = {f"seq.{i // 2}.{'bias' if i % 2 else 'weight'}": tensor.clone() for i, tensor in tensors}
        path = root / str(view) / str(item) / "net.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)
        splits["train"]["path"].append(str(path.relative_to(root)))
        splits["train"]["label"].append(str(label))
    (root / "splits.json").write_text(json.dumps(splits))


def memory_of(pages: str) -> float:
    """Memory of this process in MB: "Private_Dirty" (private) or "Rss" (all mapped pages)."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(pages)) / 1024


class Watched(ZooDataset):
    """Returns with each batch the memory of the process that read it."""

    def __getitem__(self, index: BatchIndex) -> Any:
        super().__getitem__(index)
        worker = get_worker_info()
        return (-1 if worker is None else worker.id), memory_of("Private_Dirty"), memory_of("Rss")


def workers(zoo: Zoo, count: int) -> dict[int, tuple[float, float]]:
    """Private and mapped MB of each of ``count`` loader processes, after they have read every network."""
    rows = torch.arange(len(zoo))
    dataset = Watched(zoo, rows, in_memory=False)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).split(512)
    loader = DataLoader(dataset, batch_size=None, sampler=list(enumerate(order)), num_workers=count)
    return {worker: (private, mapped) for worker, private, mapped in loader}


def main() -> None:
    report = Report(
        __doc__ or "", host_only="the memory of the host is measured, and fits of other devices need the same"
    )
    with tempfile.TemporaryDirectory() as folder:
        for views in (1, 4) if report.quick else (1, 10, 100):
            count, root = OBJECTS * views, Path(folder) / str(views)
            plan = ["--train", str(OBJECTS), "--views", str(views), "--set", "steps=50"]
            seconds, peak = command("zoo", "fit", "--source", "digits", *plan, "--out", f"{root}/zoo")
            report.add(f"{count:,} networks: fit, whole command", count / seconds, "networks/s")
            report.add(f"{count:,} networks: fit, peak", peak, "MB")
            seconds, peak = command("zoo", "export", f"{root}/zoo", "--out", f"{root}/files")
            report.add(f"{count:,} networks: export", count / seconds, "networks/s")
            report.add(f"{count:,} networks: export, peak", peak, "MB")
            published(Zoo(f"{root}/zoo"), root / "inrs")
            for kind, source in (("folder", "files"), ("dwsnets", "inrs")):
                words = ["zoo", "import", f"{root}/{source}", "--format", kind, "--out", f"{root}/{kind}"]
                seconds, peak = command(*words)
                report.add(f"{count:,} networks: import of {kind}", count / seconds, "networks/s")
                report.add(f"{count:,} networks: import of {kind}, peak", peak, "MB")
        zoo = Zoo(root / "zoo")
        size = 4 * zoo.spec.num_params * len(zoo) / 2**20
        report.add(f"{len(zoo):,} networks: parameters", size, "MB")
        for processes in (1, 2):
            found = list(workers(zoo, processes).values())
            report.add(f"{processes} loader processes: own, each", max(p for p, _ in found), "MB")
            report.add(f"{processes} loader processes: mapped, each", max(m for _, m in found), "MB")
    report.finish()


if __name__ == "__main__":
    main()
