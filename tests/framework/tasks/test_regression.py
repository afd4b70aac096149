from __future__ import annotations

import json
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import yaml
from scipy.stats import kendalltau
from sklearn.metrics import mean_squared_error, r2_score
from weightspace.backbones import DWS
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec
from weightspace.tasks import RegressionTask
from weightspace.tasks.regret import Regret
from weightspace.zoo import Zoo, write_zoo

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # advice for large images
    "ignore:.*is smaller than the logging interval",  # a zoo of a few batches
)


def trainer(tmp_path: Path, epochs: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, enable_checkpointing=False,
    )  # fmt: skip


def task() -> RegressionTask:
    torch.manual_seed(0)
    return RegressionTask(lambda spec, k: DWS(spec, k, hidden=8, layers=2), learning_rate=1e-2)


def test_learns_and_its_metrics_are_those_of_scipy_and_scikit_learn(classifier_zoo: Path, tmp_path: Path) -> None:
    model, run, zoo = task(), trainer(tmp_path, epochs=30), Zoo(classifier_zoo)
    data = ZooDataModule(str(classifier_zoo), batch_size=30, eval_batch_size=7)
    run.fit(model, datamodule=data)
    assert run.callback_metrics["train/loss"] < 0.5
    run.test(model, datamodule=data, verbose=False)
    rows = zoo.rows("test", first_view_only=True)
    with torch.no_grad():
        predicted = model.eval()(zoo.batch(rows))[:, 0].numpy()
    true = zoo.targets[rows, 0].numpy()
    measured = {name: float(value) for name, value in run.callback_metrics.items() if name.startswith("test/")}
    expected = {
        "test/r2": r2_score(true, predicted),
        "test/kendall": kendalltau(true, predicted).statistic,
        "test/mse": mean_squared_error(true, predicted),
    }
    regret = measured.pop("test/regret")
    assert measured == pytest.approx(expected, rel=1e-4)
    one_by_one = Regret(min(10, len(true)))
    one_by_one.update(torch.from_numpy(predicted), torch.from_numpy(true))
    assert regret == pytest.approx(float(one_by_one.compute()), rel=1e-4)


def test_an_untrained_network_predicts_around_the_mean(classifier_zoo: Path, tmp_path: Path) -> None:
    model, zoo = task(), Zoo(classifier_zoo)
    data = ZooDataModule(str(classifier_zoo))
    run = trainer(tmp_path, epochs=0)
    run.fit(model, datamodule=data)
    train = zoo.targets[zoo.rows("train")]
    assert torch.allclose(model.mean, train.mean(0))
    assert torch.allclose(model.deviation, train.std(0, correction=0))


def test_r2_of_targets_that_are_large_against_their_spread(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    spec = NetworkSpec((2, 3, 1), "tanh")
    params = torch.randn(600, spec.num_params, generator=generator)
    targets = 1000 + 0.1 * torch.randn(600, 1, generator=generator)
    zoo = write_zoo(
        tmp_path / "z", params, spec, targets=targets, splits=["train"] * 80 + ["val"] * 20 + ["test"] * 500
    )
    model, data, run = task(), ZooDataModule(zoo, eval_batch_size=64), trainer(tmp_path, epochs=0)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    with torch.no_grad():
        predicted = model.eval()(zoo.batch(zoo.rows("test")))
    expected = r2_score(targets[100:].double(), predicted.double())
    assert float(run.callback_metrics["test/r2"]) == pytest.approx(expected, abs=2e-3)


def test_classes_and_pairs_are_refused(digits_zoo: Path, classifier_zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has classes: take SupervisedTask"):
        trainer(tmp_path, 1).fit(task(), datamodule=ZooDataModule(str(digits_zoo)))
    with pytest.raises(ConfigError, match="does not learn from pairs"):
        trainer(tmp_path, 1).fit(task(), datamodule=ZooDataModule(str(classifier_zoo), positives="views"))


def test_a_run_from_yaml_to_report(
    classifier_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path(__file__).parents[3] / "experiments" / "generalization" / "gnn.yaml"
    config = yaml.safe_load(source.read_text())
    config["data"] |= {"zoo": str(classifier_zoo), "internal_test": True}
    config["trainer"]["max_epochs"] = 2
    Path("gnn.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", "gnn.yaml"]) == 0
    assert main(["test", "-c", "gnn.yaml", "--ckpt_path", "best"]) == 0
    metrics = json.loads(Path("runs/gnn/0/metrics.json").read_text())
    names = {f"{split}/{name}" for split in ("test", "internal_test") for name in ("r2", "kendall", "mse", "regret")}
    assert names <= metrics["test"].keys()
    assert main(["predict", "-c", "gnn.yaml"]) == 0
    assert main(["report", "runs"]) == 0
    assert "test R2" in capsys.readouterr().out
