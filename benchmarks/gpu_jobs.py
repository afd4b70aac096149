"""What `make gpu` measures: each job is a rate on one device, for a comparison with the CPU of the same machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from alignment import batched, initialised
from backbones import CASES, USUAL, networks, training_rate
from common import rate
from fitting import random_images
from loading import epoch, synthetic_zoo
from scaling import BATCH, LOSSES, measure, training_step
from weightspace.augment import AugmentationChain, build_augmentations
from weightspace.backbones import DWS
from weightspace.data import ZooDataModule
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import load_recipe

CHAIN = ["rotate", "sign_flip", "gaussian_noise", "mixup_aligned"]


class NotHereError(Exception):
    """A job that this machine cannot do, with the reason."""


@dataclass(frozen=True)
class Size:
    """How much is measured: seconds per rate, networks per batch, steps of a fit."""

    seconds: float
    batch: int
    steps: int


FULL, SMALL = Size(3.0, 256, 300), Size(0.1, 8, 20)


@dataclass(frozen=True)
class Job:
    """A rate to measure on a device, the seconds that it may take there, and whether the pack at small size has it."""

    unit: str
    rate: Callable[[torch.device, Size], float]
    limit: float = 60.0
    small: bool = True


def fit(mode: str, device: torch.device, size: Size) -> float:
    """Fits SIRENs 2-32-32-1 to images 28 x 28, as many at once as the device takes."""
    source, recipe = random_images(28, 1), load_recipe("dwsnets", {"steps": size.steps, "stop_psnr": None})
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), source.coordinates(), mode, device)
    fitter.compile()
    initial = initialise(recipe, fitter.spec, 0, [(i, 0, 0) for i in range(fitter.block)])
    values = source.values(torch.arange(fitter.block) % len(source))

    def work() -> int:
        fitter.fit(initial, values)
        return fitter.block * recipe.steps

    return rate(work, size.seconds, device)


def load(device: torch.device, size: Size) -> float:
    """Takes the batches of an epoch from memory to the device."""
    with tempfile.TemporaryDirectory() as folder:
        synthetic_zoo(Path(folder) / "zoo", 100 * size.batch)
        data = ZooDataModule(Path(folder) / "zoo", batch_size=size.batch)
        return rate(epoch(data, device), size.seconds, device)


def aligned(hidden: list[int], outputs: int, device: torch.device, size: Size) -> float:
    """Aligns pairs of networks under all symmetries."""
    batch = initialised(hidden, outputs, size.batch).to(device)
    return rate(lambda: batched(batch, "auto"), size.seconds, device)


def chain(device: torch.device, size: Size) -> float:
    """Augments batches."""
    batch, augment = networks(USUAL, size.batch, device), AugmentationChain(build_augmentations(CHAIN), seed=0)
    return rate(lambda: len(augment(batch)), size.seconds, device)


def backbone(name: str, compiled: bool, device: torch.device, size: Size) -> float:
    """Trains a backbone."""
    batch = networks(USUAL, min(size.batch, 64) if name.startswith("Graph") else size.batch, device)
    model = CASES[name](batch.spec).to(device)
    if compiled:
        torch.compiler.reset()
        model.compile()
    return training_rate(model, batch, size.seconds)


def contrastive(device: torch.device, size: Size) -> float:
    """Trains DWS with NT-Xent of pairs."""
    batch = networks(USUAL, BATCH, device)
    model = DWS(batch.spec, 64, hidden=16, layers=3).to(device)
    return rate(training_step(LOSSES["contrastive"], model, batch), size.seconds, device)


def processes(device: torch.device, size: Size) -> float:
    """Trains DWS in two processes: gloo with a core each, or nccl with a GPU each."""
    if device.type != "cpu" and torch.accelerator.device_count() < 2:
        raise NotHereError("needs two GPUs, since nccl refuses to share one")
    return 2 * BATCH / measure(2, "supervised", True, max(5, size.steps // 10), device)


EAGER = ("MLP 64", "Probe 128", "DWS 16 x 3", "DWS 32 x 5", "ScaleGNN 16 x 4", "GNN 32 x 4", "GraphTransformer")
COMPILED = ("DWS 16 x 3", "GNN 32 x 4")
JOBS: dict[str, Job] = {
    "fit 2-32-32-1, eager": Job("INR-steps/s", partial(fit, "eager")),
    "fit 2-32-32-1, compiled": Job("INR-steps/s", partial(fit, "compiled"), 100),
    "load 2-32-32-1": Job("networks/s", load),
    "align 2-32-32-1": Job("pairs/s", partial(aligned, [32, 32], 1)),
    "align 2-128-128-128-3": Job("pairs/s", partial(aligned, [128] * 3, 3)),
    f"chain of {', '.join(CHAIN)}": Job("networks/s", chain),
    **{f"{name}, training, eager": Job("networks/s", partial(backbone, name, False)) for name in EAGER},
    **{
        f"{name}, training, compiled": Job("networks/s", partial(backbone, name, True), 100, name == COMPILED[0])
        for name in COMPILED
    },
    "contrastive step, DWS 16 x 3": Job("networks/s", contrastive),
    "2 processes, DWS 16 x 3": Job("networks/s", processes),
}
