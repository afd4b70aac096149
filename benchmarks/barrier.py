"""PSNR along the straight line between two networks, after alignment under different groups.

The networks are two neural views of one object (compared with that object), or networks of two objects (compared with
the same blend of their images). Without --zoo it fits 200 Fashion-MNIST objects (--quick: 60 digits) with two views
each.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from common import Report
from matplotlib.figure import Figure
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.cli.main import main as weightspace
from weightspace.figures.images import save_figure
from weightspace.fitting.origin import source_of
from weightspace.fitting.quality import psnr
from weightspace.network import decode
from weightspace.symmetry import align, squared_distance
from weightspace.zoo import Zoo

GROUPS = {
    "not aligned": None,
    "permutation": "permutation",
    "permutation + sign": "permutation+sign",
    "all": "permutation+sign+phase",
}
STEPS = 11
PAIRS = 200


def fit_zoo(folder: str, quick: bool) -> Path:
    path = Path(folder) / "zoo"
    source = ["digits", "--train", "60"] if quick else ["fashion-mnist", "--train", "200"]
    assert (
        weightspace(["zoo", "fit", "--source", *source, "--views", "2", "--recipe", "dwsnets", "--out", str(path)]) == 0
    )
    return path


def curve(zoo: Zoo, first: WeightBatch, second: WeightBatch, ends: tuple[Tensor, Tensor]) -> list[float]:
    """Mean PSNR (dB) at STEPS points of the line; infinite values do not occur on fitted networks."""
    coordinates, value_range = source_of(zoo.path, zoo.header).coordinates().to(first.device), zoo.value_range
    means = []
    for t in torch.linspace(0, 1, STEPS):
        between = first.replace(params=torch.lerp(first.params, second.params, t))
        decoded = decode(between, coordinates, value_range)
        means.append(float(psnr(decoded, torch.lerp(ends[0], ends[1], t)).mean()))
    return means


def cases(zoo: Zoo, device: torch.device) -> dict[str, tuple[WeightBatch, WeightBatch, Tensor, Tensor]]:
    """Makes pairs of networks, with the images that they represent."""
    rows = zoo.rows("train")
    if zoo.spec.activation != "sine" or int(zoo.views[rows].max()) < 1:
        raise SystemExit(f"{zoo.path}: expected sine networks with two views or more, found {zoo.spec}")
    first, second = (rows[zoo.views[rows] == view][:PAIRS] for view in (0, 1))
    assert torch.equal(zoo.objects[first], zoo.objects[second])
    values = source_of(zoo.path, zoo.header).values(zoo.objects[first]).to(device)
    one, two = zoo.batch(first).to(device), zoo.batch(second).to(device)
    other = two.replace(params=two.params.roll(1, 0))
    return {
        "two views of one object": (one, two, values, values),
        "two objects": (one, other, values, values.roll(1, 0)),
    }


def draw(curves: dict[str, dict[str, list[float]]]) -> Figure:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axis, (case, found) in zip(figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True):
        for name, values in found.items():
            axis.plot(torch.linspace(0, 1, STEPS).tolist(), values, label=name, marker=".")
        axis.set_title(case)
        axis.set_xlabel("share of the second network")
    figure.axes[0].set_ylabel("mean PSNR (dB)")
    figure.axes[0].legend()
    return figure


def main() -> None:
    report = Report(__doc__ or "", zoo="a zoo of sine networks with two views or more", out="a PNG file of the curves")
    with tempfile.TemporaryDirectory() as folder:
        zoo = Zoo(report.options.zoo or fit_zoo(folder, report.quick))
        curves: dict[str, dict[str, list[float]]] = {}
        for case, (first, second, *ends) in cases(zoo, report.device).items():
            print(f"{case}, {len(first)} pairs")
            start = squared_distance(first, second).mean()
            for name, group in GROUPS.items():
                moved = second if group is None else align(first, second, group).apply(second)
                values = curve(zoo, first, moved, (ends[0], ends[1]))
                curves.setdefault(case, {})[name] = values
                remaining = float(squared_distance(first, moved).mean() / start)
                report.add(f"  {name}: remaining squared distance", 100 * remaining, "%")
                report.add(f"  {name}: PSNR in the middle", values[STEPS // 2], "dB")
                report.add(f"  {name}: barrier", (values[0] + values[-1]) / 2 - min(values), "dB")
    if report.options.out:
        save_figure(draw(curves), report.options.out)
    report.finish()


if __name__ == "__main__":
    main()
