"""Compositions in runs: hooks, states in checkpoints, resuming, errors on the command line."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml
from torch import nn
from weightspace.augment import Augmentation, AugmentationChain
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import AugmentationError
from weightspace_plugins.compose import OneOf, Repeat
from weightspace_plugins.noise import GaussianNoise
from weightspace_plugins.symmetry import SignFlip

RAMP = {"gaussian_noise": {"scale": 0.4, "ramp_epochs": 4}}
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Listening(Augmentation):
    """Counts the hooks that it hears."""

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p)
        self.heard: list[str] = []

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> None:
        return None

    def apply(self, batch: WeightBatch, params: None) -> WeightBatch:
        return batch.replace(params=batch.params + 0)

    def setup(self, trainer, pl_module, stage) -> None:
        self.heard.append("setup")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.heard.append("batch")

    def on_train_end(self, trainer, pl_module) -> None:
        self.heard.append("end")


class Recorder(pl.LightningModule):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.zeros(1)), []

    def training_step(self, batch: WeightBatch, batch_idx: int) -> torch.Tensor:
        self.seen.append(batch)
        return self.weight.sum()

    def validation_step(self, batch: WeightBatch, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def train(zoo: Path, folder: Path, entries: list, epochs: int, resumed: Path | None = None) -> list[WeightBatch]:
    module, recorder = ZooDataModule(zoo, batch_size=30, n_views=1, augmentations=entries, seed=3), Recorder()
    checkpoint = pl.callbacks.ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, limit_val_batches=0, callbacks=[checkpoint],
    )  # fmt: skip
    trainer.fit(recorder, datamodule=module, ckpt_path=resumed)
    return recorder.seen


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
def test_hooks_reach_parts_and_a_resumed_run_repeats_what_would_have_happened(digits_zoo: Path, tmp_path: Path) -> None:
    entries = [{"one_of": ["sign_flip", {"repeat": {"of": RAMP, "times": 2}}]}, {"one_of": [RAMP, "mixup"]}]
    whole = train(digits_zoo, tmp_path / "whole", entries, 4)
    cut = train(digits_zoo, tmp_path / "cut", entries, 2)
    saved = torch.load(tmp_path / "cut/last.ckpt", weights_only=True)["callbacks"]
    second = {"epoch": 1}
    assert saved["augmentation/one_of/0"] == {"1/Repeat": {"0/GaussianNoise": second}}
    assert saved["augmentation/one_of/1"] == {"0/GaussianNoise": second}
    rest = train(digits_zoo, tmp_path / "cut", entries, 4, resumed=tmp_path / "cut/last.ckpt")
    assert len(whole) == len(cut) + len(rest) == 8
    for one, other in zip(whole, cut + rest, strict=True):
        assert torch.equal(one.params, other.params)
        assert torch.equal(one.targets, other.targets)


def test_every_hook_reaches_parts_and_an_instance_in_two_places_once(digits_zoo: Path, tmp_path: Path) -> None:
    listening = Listening()
    train(digits_zoo, tmp_path, [OneOf([listening, Repeat(Listening(), 2), listening])], 1)
    assert listening.heard == ["setup", "batch", "batch", "end"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"one_of": ["sign_flip", "positive_scale"]}, "'positive_scale' of weightspace 0.1.0: valid for relu networks"),
        ({"some_of": {"count": 3, "of": ["sign_flip", "permute"]}}, "count must be a whole number in 1..2"),
        ({"one_of": ["sign_flip", {"repeat": {"of": "permut", "times": 2}}]}, "unknown augmentation 'permut'"),
        ({"one_of": []}, "of must be a list of one or more, found []"),
    ],
)
def test_a_run_ends_with_one_message(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], entry, message: str
) -> None:
    config = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask", "init_args": {"backbone": {"class_path": "MLP"}}},
        "data": {"zoo": str(digits_zoo), "augmentations": [entry]},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(tmp_path / "bad.yaml"), "--runs", str(tmp_path / "runs")]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


class Failing(SignFlip):
    def apply(self, batch: WeightBatch, params: list[torch.Tensor]) -> WeightBatch:
        raise ZeroDivisionError("by hand")


class Writing(SignFlip):
    def apply(self, batch: WeightBatch, params: list[torch.Tensor]) -> WeightBatch:
        return batch.replace(params=batch.params.mul_(2))


def test_what_goes_wrong_in_a_run_names_the_part(random_batch) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        AugmentationChain([OneOf(["permute", Failing()])], seed=0)(random_batch(count=20))
    assert caught.value.__notes__ == ["raised by Failing", "raised by OneOf"]
    with pytest.raises(AugmentationError, match="Writing: wrote to its input"):
        AugmentationChain([OneOf(["permute", Writing()])], seed=0)(random_batch(count=20))


def test_states_of_parts_that_have_gone_or_moved_are_left() -> None:
    saved = OneOf(["sign_flip", {"gaussian_noise": {"scale": 0.4, "ramp_epochs": 4}}])
    saved.parts[1].load_state_dict({"epoch": 2})
    for parts, strength in ((["sign_flip"], None), (["gaussian_noise", "sign_flip"], 0.1), (saved.of, 0.3)):
        changed = OneOf(parts)
        changed.load_state_dict(saved.state_dict())
        noise = [part.strength for part in changed.parts if isinstance(part, GaussianNoise)]
        assert noise == ([] if strength is None else [pytest.approx(strength)])


def test_the_strength_of_a_checkpoint_is_that_of_its_epoch_and_the_own_scale() -> None:
    saved = GaussianNoise(0.4, ramp_epochs=4)
    saved.load_state_dict({"epoch": 1})
    louder = GaussianNoise(0.8, ramp_epochs=4)
    louder.load_state_dict(saved.state_dict())
    assert (saved.strength, louder.strength) == (pytest.approx(0.2), pytest.approx(0.4))
    louder.load_state_dict({"strength": 0.3})  # of an earlier version
    assert louder.strength == 0.3
