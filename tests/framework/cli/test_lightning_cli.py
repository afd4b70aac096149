"""What ``cli/lightning_cli.py`` uses of LightningCLI is still there, and means what it meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.cli import LightningArgumentParser
from torch.utils.data import DataLoader
from weightspace.cli.lightning_cli import OpenCLI, has_option

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args parameter", "ignore:.*does not have many workers")


class Line(pl.LightningModule):
    """One number, with one hyperparameter that checkpoints hold."""

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rate, self.weight = rate, torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return (self.weight * batch).mean()

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(torch.ones(2, 1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.rate)


class Noting(OpenCLI):
    """Notes what is called, in order."""

    def __init__(self, *args: str) -> None:
        self.called: list[str] = []
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "max_epochs": 1}
        options = {"trainer_defaults": {**quiet, "accelerator": "cpu", "enable_checkpointing": False}}
        super().__init__(list(args), model_class=Line, save_config_callback=None, **options)

    def finish_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        assert not has_option(parser, "word")
        parser.add_argument("--word", type=str, default="none")
        assert has_option(parser, "word")
        self.called.append(f"parser of {subcommand}")

    @contextmanager
    def running(self) -> Iterator[None]:
        self.called.append("begin")
        self.command_options["ckpt_path"] = self.command_options["ckpt_path"]  # it can be set
        yield
        self.called.append("end")

    def before_fit(self) -> None:
        self.called.append(f"fit of {self.option('word')}")


def test_a_subcommand_is_finished_read_and_surrounded(tmp_path: Path) -> None:
    first = Noting("fit", "--word=x", "--model.rate=0.5")
    assert first.called == ["parser of fit", "begin", "fit of x", "end"]
    assert first.trainer_option("max_epochs") == first.trainer_options["max_epochs"] == 1
    assert has_option(first.command_parser, "word")
    first.trainer.save_checkpoint(tmp_path / "x.ckpt")
    again = Noting("fit", f"--ckpt_path={tmp_path / 'x.ckpt'}", "--trainer.max_epochs=2")
    assert again.model.rate == 0.1, "hyperparameters of the checkpoint override the command line"
    assert again.trainer.global_step == 4
