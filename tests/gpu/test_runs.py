"""Runs on a device: batches and their augmentation, equal seeds, checkpoints that move between devices, predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import weightspace as ws
from safetensors.torch import load_file
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.tasks import ContrastiveTask, ReconstructionTask, SupervisedTask
from weightspace.tasks.prediction import predict
from weightspace.zoo import Zoo

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*is smaller than the logging", "ignore:.*`save_last`",
    "ignore:.*deterministic",
)  # fmt: skip
SMALL = ws.DWS.partial(hidden=4, layers=2)


def on(device: torch.device) -> dict[str, Any]:
    """Options of a trainer for this device."""
    index = 0 if device.index is None else device.index
    kind = {"cuda": "gpu"}.get(device.type, device.type)
    return {"accelerator": kind, "devices": 1 if kind == "cpu" else [index]}


def trainer(device: torch.device, folder: Path | None = None, epochs: int = 2, **options: Any) -> pl.Trainer:
    callbacks = None if folder is None else ws.standard_callbacks(folder)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    keeps: dict[str, Any] = {} if folder else {"enable_checkpointing": False}
    return pl.Trainer(max_epochs=epochs, callbacks=callbacks, **quiet, **keeps, **on(device), **options)


def weights(task: pl.LightningModule) -> dict[str, torch.Tensor]:
    return {name: tensor.cpu().clone() for name, tensor in task.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def steps(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*.ckpt"))


class Recorder(pl.Callback):
    """Keeps the batches and losses of training."""

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(batch)
        self.losses.append(float(outputs["loss"]))


def recorded(task: pl.LightningModule, data: ZooDataModule, device: torch.device, **options: Any) -> Recorder:
    recorder, run = Recorder(), trainer(device, epochs=1, **options)
    run.callbacks.append(recorder)
    pl.seed_everything(0, verbose=False)
    run.fit(task, data)
    return recorder


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_the_rows_of_the_zoo_on_the_device(workers: int, zoo: Zoo, device: torch.device) -> None:
    data = ZooDataModule(zoo, batch_size=50, num_workers=workers)
    found = recorded(SupervisedTask(SMALL), data, device).batches
    assert data.train_dataloader().pin_memory == (device.type == "cuda")
    assert {batch.device.type for batch in found} == {device.type}
    rows = {(int(o), int(v)): r for r, (o, v) in enumerate(zip(zoo.objects, zoo.views, strict=True))}
    for batch in found:
        own = [rows[int(o), int(v)] for o, v in zip(batch.objects, batch.views, strict=True)]
        assert torch.equal(batch.params.cpu(), zoo.params(torch.tensor(own)))


def test_pairs_are_augmented_on_the_device(zoo: Zoo, device: torch.device) -> None:
    data = ZooDataModule(zoo, batch_size=30, positives="augment", augmentations=["gaussian_noise"])
    task = ContrastiveTask(SMALL, embedding=6, projection=4, hidden=5)
    for first, second in recorded(task, data, device).batches:
        assert first.device.type == second.device.type == device.type
        assert torch.equal(first.objects, second.objects)
        assert not torch.equal(first.params, second.params)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_pairs_are_read_back_on_the_device(precision: Any, zoo: Zoo, device: torch.device) -> None:
    data = ZooDataModule(zoo, batch_size=30, positives="augment", augmentations=["gaussian_noise"])
    options: dict[str, Any] = {"contrastive": 0.1, "pair_loss": {"loss": "vicreg", "projection": 4}}
    task = ReconstructionTask(SMALL, embedding=6, points=16, width=8, **options)
    found = recorded(task, data, device, precision=precision)
    assert {batch[0].device.type for batch in found.batches} == {device.type}
    assert torch.tensor(found.losses).isfinite().all()


def test_a_seed_starts_from_the_weights_of_the_cpu(zoo: Zoo, device: torch.device) -> None:
    data = ZooDataModule(zoo, batch_size=50)
    losses = [recorded(SupervisedTask(SMALL), data, where).losses for where in (torch.device("cpu"), device)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)  # float32, four steps
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-4)


def test_a_run_resumes_bit_for_bit_on_the_device(zoo: Zoo, device: torch.device, tmp_path: Path) -> None:
    def fitted(folder: Path, ckpt_path: Path | None = None) -> dict[str, torch.Tensor]:
        data = ZooDataModule(zoo, batch_size=50, augmentations=["gaussian_noise", "mixup_aligned"])
        pl.seed_everything(0, verbose=False)
        task = SupervisedTask(ws.DWS.partial(hidden=4, layers=2, dropout=0.3))
        try:
            trainer(device, folder, deterministic=True).fit(task, data, ckpt_path=ckpt_path)
        finally:
            torch.use_deterministic_algorithms(False)  # Lightning leaves it to the whole process
        return weights(task)

    whole = fitted(tmp_path / "whole")
    assert equal(whole, fitted(tmp_path / "resumed", steps(tmp_path / "whole")[0]))


@pytest.mark.parametrize("back", [False, True])
def test_a_checkpoint_moves_between_device_and_cpu(back: bool, zoo: Zoo, device: torch.device, tmp_path: Path) -> None:
    first, second = (torch.device("cpu"), device)[:: 1 if back else -1]
    trainer(first, tmp_path / "first").fit(SupervisedTask(SMALL), ZooDataModule(zoo, batch_size=50))
    begun = steps(tmp_path / "first")[0]
    task = SupervisedTask(SMALL)
    run = trainer(second, tmp_path / "second")
    run.fit(task, ZooDataModule(zoo, batch_size=50), ckpt_path=begun)
    assert run.current_epoch == 2
    assert {p.device.type for p in task.parameters()} <= {second.type, "cpu"}  # after the end, on the CPU
    assert all(tensor.isfinite().all() for tensor in weights(task).values())
    assert SupervisedTask.load_from_checkpoint(steps(tmp_path / "second")[-1]).device.type == "cpu"


def test_predictions_and_embeddings_are_those_of_the_cpu(zoo: Zoo, device: torch.device, tmp_path: Path) -> None:
    trainer(device, tmp_path / "run", epochs=1).fit(SupervisedTask(SMALL), ZooDataModule(zoo, batch_size=50))
    path = steps(tmp_path / "run")[-1]
    tasks = [SupervisedTask.load_from_checkpoint(path, map_location=where) for where in (device, "cpu")]
    found, expected = (predict(task, zoo, "test").probabilities for task in tasks)
    torch.testing.assert_close(torch.as_tensor(found), torch.as_tensor(expected), rtol=1e-3, atol=1e-4)
    embed = ["embed", "--encoder", str(tmp_path / "run"), "--zoo", str(zoo.path), "--out"]
    assert main([*embed, str(tmp_path / "device"), "--device", str(device)]) == 0
    assert main([*embed, str(tmp_path / "cpu")]) == 0
    one, other = (load_file(tmp_path / name)["embedding"] for name in ("device", "cpu"))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_zoo_is_fitted_and_aligned_goes_on_and_is_verified(device: torch.device, tmp_path: Path) -> None:
    fit = ["zoo", "fit", "--source", "digits", "--recipe", "siren", "--set", "steps=20", "hidden=[8, 8]", "--train"]
    fit = [*fit, "10", "--val", "5", "--test", "5", "--device", str(device), "--out", str(tmp_path / "zoo")]
    assert main(fit) == 0
    before = (tmp_path / "zoo" / "zoo.json").read_bytes()
    assert main(fit) == 0
    assert (tmp_path / "zoo" / "zoo.json").read_bytes() == before
    assert main(["zoo", "align", str(tmp_path / "zoo"), "--to", "mean", "--device", str(device)]) == 0
    assert main(["zoo", "verify", str(tmp_path / "zoo")]) == 0
