"""Every task leaves its network as a file, which says what comes out of it."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from weightspace.backbones import DWS, MLP
from weightspace.backbones.artefact import describe_encoder, load_backbone
from weightspace.callbacks import EncoderFile
from weightspace.data import ZooDataModule
from weightspace.tasks import ContrastiveTask, FineTuneTask, ReconstructionTask, RegressionTask, SupervisedTask

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # advice for large images
    "ignore:.*is smaller than the logging interval",  # a zoo of a few batches
)


def backbone(spec, out_dim: int) -> DWS:
    return DWS(spec, out_dim, hidden=4, layers=1)


@pytest.mark.parametrize("kind", ["supervised", "finetune", "regression", "contrastive", "reconstruction"])
def test_every_task_leaves_its_network(kind: str, digits_zoo: Path, classifier_zoo: Path, tmp_path: Path) -> None:
    task = {
        "supervised": lambda: SupervisedTask(backbone),
        "finetune": lambda: FineTuneTask(backbone, embedding=6),
        "regression": lambda: RegressionTask(backbone),
        "contrastive": lambda: ContrastiveTask(backbone, embedding=6),
        "reconstruction": lambda: ReconstructionTask(backbone, embedding=6),
    }[kind]()
    pairs = {"positives": "augment", "augmentations": ["permute"]} if kind == "contrastive" else {}
    data = ZooDataModule(str(classifier_zoo if kind == "regression" else digits_zoo), **pairs)
    run = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[EncoderFile(tmp_path)],
    )  # fmt: skip
    run.fit(task, datamodule=data)
    name = "backbone" if task.head else "encoder"
    (path,) = tmp_path.glob("*.safetensors")
    assert path.name == f"{name}.safetensors"
    batch, loaded = (
        data.evaluation_batch(
            "val",
        ),
        load_backbone(path),
    )
    with torch.no_grad():
        found, expected = loaded(batch), task.eval()(batch)
        target = describe_encoder(path).get("target")
        if task.head is None:
            assert target is None
        else:
            assert {k: target[k] for k in ("kind", "names")} == data.zoo.header.target
        if kind == "regression":
            found = found * torch.tensor(target["deviation"]) + torch.tensor(target["mean"])
        assert torch.allclose(found, expected, atol=1e-6)
        if kind == "finetune":
            assert torch.allclose(loaded.encoder(batch), task.encoder(batch), atol=1e-6)
    before = path.read_bytes()
    next(c for c in run.callbacks if isinstance(c, EncoderFile)).on_fit_end(run, task)
    assert path.read_bytes() == before


def test_the_best_of_a_plain_trainer_is_that_of_its_checkpoint(digits_zoo: Path, tmp_path: Path) -> None:
    task = SupervisedTask(lambda spec, k: MLP(spec, k, hidden=4), learning_rate=1e-2)
    best = ModelCheckpoint(tmp_path, monitor="val/loss")  # saves at the end of the epoch, after validation
    run = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[best, EncoderFile(tmp_path)],
    )  # fmt: skip
    run.fit(task, datamodule=ZooDataModule(str(digits_zoo)))
    expected = torch.load(best.best_model_path, weights_only=True)["state_dict"]
    file = load_backbone(tmp_path / "backbone_best.safetensors").state_dict()
    assert all(torch.equal(expected[f"backbone.{name}"], tensor) for name, tensor in file.items())


class Cut(pl.Callback):
    """Stands for a process that ends once the files of a run's end are being written."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        raise RuntimeError("cut")


def test_the_network_is_written_before_the_run_is_said_to_have_ended(digits_zoo: Path, tmp_path: Path) -> None:
    task = SupervisedTask(lambda spec, k: MLP(spec, k, hidden=4))
    run = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Cut(), EncoderFile(tmp_path)],
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="cut"):
        run.fit(task, datamodule=ZooDataModule(str(digits_zoo)))
    written = load_backbone(tmp_path / "backbone.safetensors").state_dict()
    assert all(torch.equal(tensor, written[name]) for name, tensor in task.backbone.state_dict().items())
