from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from weightspace.backbones import DWS
from weightspace.backbones.artefact import save_backbone
from weightspace.backbones.embedding import embed
from weightspace.callbacks.online_probe import probe
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks import ContrastiveTask, FineTuneTask
from weightspace.zoo import write_zoo

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # advice for large images
    "ignore:.*is smaller than the logging interval",  # a zoo of a few batches
)


def trainer(folder: Path, epochs: int, **options) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, enable_checkpointing=False, **options,
    )  # fmt: skip


def backbone(spec, out_dim: int) -> DWS:
    return DWS(spec, out_dim, hidden=8, layers=2, dropout=0.1)


def pretrain(zoo: Path, folder: Path, epochs: int, positives: str = "augment", **options) -> tuple:
    torch.manual_seed(0)
    task = ContrastiveTask(backbone, embedding=16, projection=8, hidden=32, learning_rate=1e-2, **options)
    run = trainer(folder, epochs)
    data = ZooDataModule(str(zoo), batch_size=30, positives=positives, augmentations=["sign_flip"])
    run.fit(task, datamodule=data)
    return task, run, data


@pytest.fixture(scope="module")
def pretrained(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    return pretrain(digits_zoo, tmp_path_factory.mktemp("run"), epochs=60)


def test_pairs_become_close_and_embeddings_do_not_collapse(pretrained, digits_zoo: Path, tmp_path: Path) -> None:
    _, run, _ = pretrained
    _, untrained, _ = pretrain(digits_zoo, tmp_path, epochs=1)
    assert run.callback_metrics["train/loss"] < untrained.callback_metrics["train/loss"] - 0.3
    assert run.callback_metrics["train/positive_distance"] < 0.6
    assert run.callback_metrics["train/embedding_std"] > 0.6
    assert run.callback_metrics["train/uniformity"] < -1
    assert {"val/loss", "val/positive_distance", "val/embedding_std", "val/uniformity"} <= set(run.callback_metrics)


def test_a_probe_finds_classes_that_are_there_and_no_others() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(200) % 4
    noise = torch.randn(200, 6, generator=generator)
    separate = 5 * torch.nn.functional.one_hot(classes, 6).float() + noise
    scores = probe((separate[:100], classes[:100]), (separate[100:], classes[100:]))
    assert min(scores.values()) > 0.9
    scores = probe((noise[:100], classes[:100]), (noise[100:], classes[100:]))
    assert max(scores.values()) < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be > 0, found 0.0"),
        ({"layers": 4}, "layers must be 2 or 3, found 4"),
        ({"norm": "group"}, "norm must be one of layer, batch, none, found 'group'"),
        ({"embedding": 0}, "embedding must be at least 1"),
        ({"loss": "barlow"}, "loss must be ntxent or vicreg, found 'barlow'"),
        ({"loss": "vicreg", "temperature": 0.2}, "temperature would be ignored, since it is of the loss ntxent"),
        ({"weights": [25, 25, 1]}, "weights would be ignored, since it is of the loss vicreg"),
        ({"loss": "vicreg", "weights": [0, 0, 0]}, r"not all 0, found \[0, 0, 0\]"),
        ({"loss": "vicreg", "weights": [25, 25]}, "three numbers >= 0"),
        ({"loss": "vicreg", "weights": [25, -1, 1]}, "three numbers >= 0"),
    ],
)
def test_bad_options_say_why(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ContrastiveTask(backbone, **options)


def test_pairs_are_needed(digits_zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set data.positives to augment, views or both"):
        trainer(tmp_path, 1).fit(ContrastiveTask(backbone), datamodule=ZooDataModule(str(digits_zoo)))


def test_validation_objects_of_one_view_are_remarked_on(tmp_path: Path) -> None:
    spec = NetworkSpec((2, 3, 1))
    for views, said in ((1, True), (2, False)):
        objects = torch.cat([torch.arange(6).repeat(2), torch.arange(6, 9).repeat(views)])
        splits = ["train"] * 12 + ["val"] * 3 * views
        params = torch.randn(len(objects), spec.num_params)
        place = [0] * 6 + [1] * 6 + [view for view in range(views) for _ in range(3)]
        zoo = write_zoo(tmp_path / str(views), params, spec, targets=objects % 3, objects=objects, views=place,
                        splits=splits)  # fmt: skip
        data = ZooDataModule(zoo, positives="views")
        assert ("have one view each: val/loss" in (data.remark or "")) == said
        assert ZooDataModule(zoo).remark is None


def test_without_negatives_embeddings_do_not_collapse_either(digits_zoo: Path, tmp_path: Path) -> None:
    """Of two runs that differ in the weights, only the one without variance and covariance collapses."""
    spread, collapsed = (
        pretrain(digits_zoo, tmp_path, 30, loss="vicreg", weights=weights)[1].callback_metrics
        for weights in (None, [25, 0, 0])
    )
    assert spread["train/variance"] < 0.8 < 1.5 < collapsed["train/variance"]
    assert spread["train/positive_distance"] < 0.6
    assert {"val/invariance", "val/variance", "val/covariance", "val/uniformity"} <= set(spread)
    weighted = 25 * spread["val/invariance"] + 25 * spread["val/variance"] + spread["val/covariance"]
    assert float(spread["val/loss"]) == pytest.approx(float(weighted), rel=1e-5)


@pytest.mark.parametrize("loss", ["ntxent", "vicreg"])
def test_half_precision_gives_nearly_the_loss_of_whole(loss: str, digits_zoo: Path, tmp_path: Path) -> None:
    found = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        task = ContrastiveTask(backbone, embedding=16, projection=8, hidden=32, loss=loss, learning_rate=1e-9)
        run = trainer(tmp_path, 1, precision=precision)
        run.fit(task, ZooDataModule(str(digits_zoo), positives="augment", augmentations=["sign_flip"]))
        found.append(float(run.callback_metrics["val/loss"]))
    assert found[1] == pytest.approx(found[0], rel=0.01)


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
@pytest.mark.parametrize("layers", [2, 3])
def test_projectors(norm: str, layers: int, digits_zoo: Path, tmp_path: Path) -> None:
    _, run, _ = pretrain(digits_zoo, tmp_path, 1, "both", norm=norm, layers=layers)
    assert run.callback_metrics["train/loss"].isfinite()


def finetune(pretrained, digits_zoo: Path, folder: Path, **options) -> tuple[FineTuneTask, pl.Trainer]:
    path = folder / "encoder.safetensors"
    save_backbone(pretrained[0].encoder, path)
    torch.manual_seed(0)
    task = FineTuneTask(backbone, encoder=str(path), embedding=16, learning_rate=1e-2, **options)
    run = trainer(folder, 3)
    run.fit(task, datamodule=ZooDataModule(str(digits_zoo), augmentations=["sign_flip"], label_fraction=0.5))
    return task, run


@pytest.mark.parametrize("mode", ["frozen", "linear"])
def test_nothing_of_a_frozen_encoder_moves(mode: str, pretrained, digits_zoo: Path, tmp_path: Path) -> None:
    task, _ = finetune(pretrained, digits_zoo, tmp_path, mode=mode)
    before, after = pretrained[0].encoder.state_dict(), task.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    task.train()
    assert not any(module.training for module in task.encoder.modules())
    assert all(parameter.grad is None for parameter in task.encoder.parameters())
    batch = pretrained[2].training_batch(8)
    assert torch.equal(task.encoder(batch), embed(pretrained[0].encoder, batch))


def test_full_finetuning_moves_the_encoder_at_a_lower_rate(pretrained, digits_zoo: Path, tmp_path: Path) -> None:
    task, run = finetune(pretrained, digits_zoo, tmp_path, mode="full", encoder_rate=0.25)
    rates = {group["initial_lr"] for group in run.optimizers[0].param_groups}
    assert rates == {1e-2, 0.25e-2}
    before, after = pretrained[0].encoder.state_dict(), task.encoder.state_dict()
    assert not torch.equal(before["head.0.weight"], after["head.0.weight"])
    assert torch.equal(before["normaliser.mean"], after["normaliser.mean"])


def test_from_scratch_has_one_rate_and_its_own_statistics(digits_zoo: Path, tmp_path: Path) -> None:
    task, run = FineTuneTask(backbone, embedding=16, learning_rate=1e-2), trainer(tmp_path, 1)
    run.fit(task, datamodule=ZooDataModule(str(digits_zoo)))
    assert {group["initial_lr"] for group in run.optimizers[0].param_groups} == {1e-2}
    assert not torch.equal(task.encoder.normaliser.std, torch.ones_like(task.encoder.normaliser.std))


def test_an_encoder_of_other_arguments_is_refused_before_training(pretrained, digits_zoo, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_backbone(pretrained[0].encoder, path)
    task = FineTuneTask(lambda spec, k: DWS(spec, k, hidden=4, layers=2), encoder=str(path), embedding=16)
    with pytest.raises(ConfigError, match="hidden is 4 here, and 8 in the saved weights"):
        trainer(tmp_path, 1).fit(task, datamodule=ZooDataModule(str(digits_zoo)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "froxen"}, "mode must be one of full, frozen, linear, found 'froxen'"),
        ({"mode": "linear"}, "mode linear trains no encoder: give it a pretrained one"),
        ({"encoder_rate": 0.0}, r"encoder_rate must be in \(0, 1\]"),
    ],
)
def test_bad_finetuning_options_say_why(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FineTuneTask(backbone, **options)
