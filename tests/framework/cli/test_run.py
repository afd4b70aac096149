"""The command line from YAML to metrics, in this process and in fresh ones."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import warnings
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch
import yaml
from safetensors.torch import load_file
from warm import WarmCommand
from weightspace.backbones import DWS
from weightspace.backbones.artefact import load_backbone, save_backbone
from weightspace.backbones.embedding import embed
from weightspace.cli.failures import QUIET
from weightspace.cli.main import main
from weightspace.cli.run import RunCLI
from weightspace.data import ZooDataModule
from weightspace.runs.folder import RunFolder
from weightspace.runs.refused import missing_folders, remove_folders
from weightspace.zoo import Zoo

ROOT = Path(__file__).parents[3]
EXPERIMENTS = sorted(
    path.relative_to(ROOT) for path in (ROOT / "experiments").rglob("*.yaml") if path.parent.name != "studies"
)


def write_experiment(path: Path, zoo: Path) -> Path:
    config = {
        "seed_everything": 3,
        "model": {
            "class_path": "weightspace.tasks.SupervisedTask",
            "init_args": {"backbone": {"class_path": "DWS", "init_args": {"hidden": 4, "layers": 1}}},
        },
        "data": {
            "zoo": str(zoo),
            "batch_size": 32,
            "augmentations": ["sign_flip", {"mixup": {"alpha": 0.4, "p": 0.5}}],
        },
        "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def experiment(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small experiment in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return write_experiment(tmp_path / "small.yaml", digits_zoo)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_zoo: Path) -> Path:
    """The folder of runs of the small experiment, with one that has ended."""
    folder = tmp_path_factory.mktemp("trained")
    path = write_experiment(folder / "small.yaml", digits_zoo)
    assert main(["fit", "-c", str(path), "--experiment", "small", "--runs", str(folder / "runs")]) == 0
    return folder / "runs"


@pytest.fixture
def fitted_experiment(experiment: Path, trained: Path) -> Path:
    """A small experiment that has been trained: two epochs, in ``runs/small/3``."""
    shutil.copytree(trained, "runs")
    return experiment


def metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def newest(run: Path) -> dict:
    """Content of the newest checkpoint by step."""
    return torch.load(RunFolder(run).steps()[-1], weights_only=True)


def fresh(*arguments: str) -> tuple[int | None, str, str]:
    """Exit code of a process, and what it said."""
    with WarmCommand(*arguments) as running:
        out, err = running.communicate()
    return running.returncode, out, err


def test_fit_then_test_the_best_checkpoint_in_a_fresh_process(experiment: Path, tmp_path: Path) -> None:
    assert main(["fit", "-c", str(experiment)]) == 0
    run = tmp_path / "runs" / "small" / "3"
    names = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert {
        "config.yaml", "provenance.json", "metrics.json", "checkpoints/best.ckpt",
        "checkpoints/step-00000006.ckpt", "checkpoints/step-00000012.ckpt",
        "pictures/augmentation.png", "pictures/confusion_val.png", "pictures/confusion_val.csv",
    } <= names  # fmt: skip
    assert any("tfevents" in name for name in names)
    assert len([n for n in names if n.endswith(".ckpt")]) == 3
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert (resolved["seed_everything"], resolved["data"]["eval_batch_size"]) == (3, 512)
    fitted = metrics(run)["fit"]
    assert fitted["epochs"] == 2
    assert fitted["networks_per_second"] > 0

    code, out, err = fresh("test", "-c", str(experiment), "--ckpt_path", "best")
    assert code == 0, err
    assert "test/accuracy" in out
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert "backbone.normaliser.std" in best["state_dict"]
    assert 0 <= metrics(run)["test"]["test/accuracy"] <= 1
    assert metrics(run)["fit"] == fitted

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run)).Reload()
    assert {"train/loss", "val/accuracy", "networks_per_second"} <= set(events.Tags()["scalars"])
    assert {"augmentation", "confusion_val"} <= set(events.Tags()["images"])


@pytest.mark.parametrize(
    ("options", "seed"),
    [
        ([], 3),
        (["--seed_everything", "5"], 5),
        (["--seed_everything", "5", "--data.seed", "0"], 0),
        (["--data.seed", "${..seed_everything}"], 3),
    ],
)
def test_the_data_follows_the_seed_of_the_run(experiment: Path, options: list[str], seed: int) -> None:
    command = ["fit", "-c", str(experiment), "--trainer.max_epochs", "1", "--data.label_fraction", "0.5"]
    for message in QUIET:
        warnings.filterwarnings("ignore", message)
    cli = RunCLI([*command, *options])
    given = ZooDataModule(str(cli.datamodule.zoo.path), label_fraction=0.5, seed=seed)
    assert torch.equal(cli.datamodule.training_batch().objects, given.training_batch().objects)
    assert cli.datamodule.seed == cli.datamodule.chain.seed == seed
    kept = yaml.safe_load((cli.folder.path / "config.yaml").read_text())["data"]["seed"]
    assert kept == (seed if "--data.seed" in options else None), "the file could not be given another seed"


@pytest.mark.parametrize("seed", ["4294967296", "-1", "false"])
def test_what_is_no_seed_is_refused(experiment: Path, capsys: pytest.CaptureFixture[str], seed: str) -> None:
    assert main(["fit", "-c", str(experiment), f"--seed_everything={seed}"]) == 2
    assert "seed_everything must be a whole number in 0..4294967295, found" in capsys.readouterr().err


def test_validate_repeats_the_best_score(fitted_experiment: Path, tmp_path: Path) -> None:
    assert main(["validate", "-c", str(fitted_experiment)]) == 0
    found = metrics(tmp_path / "runs" / "small" / "3")
    assert found["validate"]["val/accuracy"] == pytest.approx(found["fit"]["best val/accuracy"])
    assert main(["predict", "-c", str(fitted_experiment)]) == 0
    lines = (tmp_path / "runs" / "small" / "3" / "predictions.csv").read_text().splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("object,view,true,class,p(0),p(1)")
    assert sum(float(p) for p in lines[1].split(",")[4:]) == pytest.approx(1, abs=1e-4)


def test_runs_repeat_from_their_seed(experiment: Path, tmp_path: Path) -> None:
    for runs in ("one", "two"):
        assert main(["fit", "-c", str(experiment), "--runs", runs]) == 0
    weights = [newest(tmp_path / runs / "small" / "3")["state_dict"] for runs in ("one", "two")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.long
def test_a_killed_run_goes_on_to_the_weights_of_the_run_that_was_never_killed(experiment: Path, tmp_path: Path) -> None:
    options = ["fit", "-c", str(experiment), "--trainer.max_epochs", "12"]
    options += ["--model.init_args.backbone.init_args.dropout", "0.3"]  # draws from the global generator
    with WarmCommand(*options, "--runs", "cut") as running:
        running.wait_for("epoch 3/")  # so that the checkpoint of epoch 2 is written
        running.send_signal(signal.SIGKILL)
    assert not (tmp_path / "cut" / "small" / "3" / "metrics.json").exists()
    assert main([*options, "--runs", "cut", "--ckpt_path", "last"]) == 0
    assert main([*options, "--runs", "whole"]) == 0
    states = [newest(tmp_path / runs / "small" / "3")["state_dict"] for runs in ("whole", "cut")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_interpolation_of_keys_elsewhere(experiment: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(experiment.read_text())
    config["data"]["eval_batch_size"] = "${..trainer.max_epochs}"
    config["data"]["batch_size"] = 30
    config["model"]["init_args"]["learning_rate"] = 0.5
    config["data"]["label_fraction"] = "${..model.init_args.learning_rate}"
    experiment.write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(experiment), "--trainer.max_epochs", "7", "--trainer.fast_dev_run", "true"]) == 0


def test_float64(experiment: Path) -> None:
    assert main(["fit", "-c", str(experiment), "--trainer.precision", "64-true", "--trainer.max_epochs", "1"]) == 0


def test_the_internal_test_is_reported(experiment: Path, tmp_path: Path) -> None:
    options = ["-c", str(experiment), "--data.internal_test", "true"]
    assert main(["fit", *options]) == 0
    assert main(["test", *options]) == 0
    run = tmp_path / "runs" / "small" / "3"
    scores = metrics(run)["test"]
    assert set(scores) == {
        f"{test}/{score}" for test in ("test", "internal_test") for score in ("loss", "accuracy", "balanced_accuracy")
    }
    for test in ("test", "internal_test"):
        with (run / f"{test}_classes.csv").open() as file:
            classes = list(csv.DictReader(file))
        with (run / "pictures" / f"confusion_{test}.csv").open() as file:
            counts = torch.tensor([[int(count) for count in row[1:]] for row in list(csv.reader(file))[1:]])
        assert [int(row["networks"]) for row in classes] == counts.sum(1).tolist()
        recalls = [float(row["recall"]) for row in classes if row["recall"]]
        assert mean(recalls) == pytest.approx(scores[f"{test}/balanced_accuracy"], abs=1e-4)
        assert float(counts.trace() / counts.sum()) == pytest.approx(scores[f"{test}/accuracy"])


def test_an_existing_run_is_not_overwritten(fitted_experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", str(fitted_experiment)]) == 2
    assert "holds a finished run: resume it with ckpt_path=last" in capsys.readouterr().err
    assert main(["fit", "-c", str(fitted_experiment), "--overwrite", "true"]) == 0


BAD = {
    "wrong key": (["--data.batchsize", "3"], "data.batchsize"),
    "wrong type": (["--data.batch_size", "many"], "data.batch_size: expected int, found 'many'"),
    "wrong type in a union": (
        ["--trainer.max_epochs", "many"],
        "trainer.max_epochs: expected int or None, found 'many'",
    ),
    "unknown augmentation": (["--data.augmentations", "[rotat]"], "did you mean 'rotate'?"),
    "wrong parameter": (["--data.augmentations", "[{rotate: {angle: 3}}]"], "its parameters: degrees=30.0, p=1.0"),
    "missing zoo": (["--data.zoo", "nowhere"], "no zoo at nowhere: there is no such folder"),
    "unknown backbone": (["--model.init_args.backbone", "DWZ"], "backbone: there is no class DWZ"),
    "unknown argument": (
        ["--model.init_args.backbone.init_args.hiden", "2"],
        "no option hiden: did you mean 'hidden'?",
    ),
    "argument's type": (["--model.init_args.backbone.init_args.hidden", "many"], "hidden: expected int, found 'many'"),
    "rate's type": (["--model.init_args.learning_rate", "fast"], "learning_rate: expected float, found 'fast'"),
    "unknown task": (["--model", "Supervisd"], "there is no class Supervisd"),
    "precision": (["--trainer.precision", "foo"], "'64-true'"),
    "no GPU": (["--trainer.accelerator", "gpu"], "gpu"),
    "strategy": (["--trainer.strategy", "foo"], "foo"),
    "devices": (["--trainer.devices", "0"], "devices"),
    "monitor": (["--monitor", "foo", "--trainer.max_epochs", "1"], "monitor"),
    "dropout": (["--model.init_args.backbone.init_args.dropout", "1.5"], "dropout must be in [0, 1)"),
    "pairs": (["--data.positives", "augment"], "does not learn from pairs: leave data.positives out"),
    "bad argument": (
        ["--model.init_args.backbone.init_args.pool", "sum"],
        "pool must be one of mean, max, attention, found 'sum'",
    ),
    "no checkpoint": (["--ckpt_path", "last"], "step-*.ckpt, found nothing"),
    "more processes than objects": (["--trainer.devices", "21"], "21 processes cannot share 20 objects"),
    "a class without labels": (["--data.label_fraction", "0.05"], "label"),
    "bad rate": (["--model.init_args.learning_rate", "0"], "learning_rate must be > 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_exit_code_2(
    experiment: Path, case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = BAD[case]
    assert main(["fit", "-c", str(experiment), *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1
    assert len(err) < 1500
    assert not list(tmp_path.rglob("*.ckpt"))
    assert (case == "monitor") == (tmp_path / "runs").exists(), "only a missing metric is known after an epoch"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {class_path: SupervisedTask, init_args: {backbone: {class_path: DWZ}}}", "there is no class DWZ"),
        ("model: {class_path: SupervisedTask, init_args: {}}", "model: the following arguments are required: backbone"),
        ("model: {class_path: weightspace.tasks.Supervised}", "has no attribute 'Supervised'"),
        ("data:\n  zoo: ${nothing.there}\n", "nothing.there"),
        ("data: [1, 2", "expected ',' or ']'"),
        ("modle: {}", "required: fit.data.zoo, fit.model"),
    ],
)
def test_bad_yaml(experiment: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.write_text(text)
    assert main(["fit", "-c", str(experiment)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_missing_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_test_without_a_run_says_so(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "-c", str(experiment)]) == 2
    assert "train first (no run at runs/small/3)" in capsys.readouterr().err
    Path("other.ckpt").write_bytes(b"PK")
    assert main(["test", "-c", str(experiment), "--ckpt_path", "other.ckpt"]) == 2
    assert "other.ckpt is not a readable checkpoint" in capsys.readouterr().err


REFERENCE = ["--model.init_args.backbone", "Canonical", "--model.init_args.backbone.init_args.form", "reference"]
REFERENCE += ["--model.init_args.backbone.init_args.backbone", "MLP"]


def test_a_refused_run_leaves_what_it_found(experiment: Path, tmp_path: Path) -> None:
    note = tmp_path / "runs" / "note.txt"
    note.parent.mkdir()
    note.write_text("mine")
    assert main(["fit", "-c", str(experiment), *REFERENCE]) == 2, "the zoo has no stored alignment"
    assert list(note.parent.rglob("*")) == [note]
    run = tmp_path / "runs" / "small" / "3"
    run.mkdir(parents=True)
    assert main(["fit", "-c", str(experiment), *REFERENCE]) == 2
    assert run.is_dir(), "another command made it"


def test_only_what_is_written_before_the_first_step_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "small" / "3"
    made = missing_folders(run)
    assert made == [run, run.parent, run.parent.parent]
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").touch()
    (run / "nonfinite.json").touch()
    remove_folders(made)
    assert (run / "config.yaml").exists()
    (run / "nonfinite.json").unlink()
    remove_folders([])
    assert run.exists()
    remove_folders(made)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_says_why_it_is_eager_unless_that_was_asked_for(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = ["fit", "-c", str(experiment), "--trainer.fast_dev_run", "true"]
    assert main(trial) == 0
    assert capsys.readouterr().out.count("eager: a trial of a few batches does not repay compiling") == 1
    assert main([*trial, "--model.init_args.compile", "false"]) == 0
    assert "eager" not in capsys.readouterr().out


def test_a_failed_start_keeps_the_run_that_was_to_be_replaced(fitted_experiment: Path, tmp_path: Path) -> None:
    assert main(["fit", "-c", str(fitted_experiment), "--overwrite", "true", "--trainer.accelerator", "gpu"]) == 2
    assert main(["test", "-c", str(fitted_experiment)]) == 0


def test_a_checkpoint_of_another_zoo_is_refused(
    fitted_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = ["zoo", "fit", "--source", "digits", "--train", "20", "--test", "20", "--recipe", "siren", "--out", "other"]
    assert main([*zoo, "--set", "steps=3", "hidden=[8]"]) == 0
    assert main(["test", "-c", str(fitted_experiment), "--data.zoo", "other"]) == 2
    assert "this backbone was built for 2-8-1 sine" in capsys.readouterr().err
    assert main(["test", "-c", str(fitted_experiment), "--model.init_args.backbone.init_args.hidden", "5"]) == 2
    assert "DWS: hidden is 5 here, and 4 in the saved weights" in capsys.readouterr().err
    assert main(["test", "-c", str(fitted_experiment), "--model.init_args.backbone", "Probe"]) == 2
    assert "this backbone is a Probe, the saved one a DWS" in capsys.readouterr().err


def test_going_on_with_a_finished_run_keeps_its_metrics(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", str(experiment)]) == 0
    before = metrics(tmp_path / "runs" / "small" / "3")
    assert "finished already" not in capsys.readouterr().out
    assert main(["fit", "-c", str(experiment), "--auto_resume", "true"]) == 0
    assert "finished already, after 2 epochs: trainer.max_epochs is 2" in capsys.readouterr().out
    assert metrics(tmp_path / "runs" / "small" / "3") == before


def test_ctrl_c_says_how_to_go_on(experiment: Path) -> None:
    with WarmCommand("fit", "-c", str(experiment), "--trainer.max_epochs", "200") as running:
        running.wait_for("epoch 2/")  # the checkpoint of the first is there
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert running.returncode == 130, err
    assert "stopped: the same command with --ckpt_path last resumes it" in err


BROKEN_OFF = """
from lightning.pytorch import Callback

class BrokenOff(Callback):
    def on_train_epoch_end(self, trainer, module):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("unexpected pos 26944 vs 26848")  # as torch.save does, whose file is not whole then
"""


def test_ctrl_c_is_told_where_what_it_cuts_short_fails(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_off.py").write_text(BROKEN_OFF)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["fit", "-c", str(experiment), "--trainer.callbacks+=broken_off.BrokenOff"]) == 130
    assert "stopped: no checkpoint was written: start the same command again" in capsys.readouterr().err


@pytest.mark.long
def test_two_processes_fit_and_test(experiment: Path, tmp_path: Path) -> None:
    processes = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    code, _, err = fresh("fit", "-c", str(experiment), "--trainer.max_epochs", "1", *processes)
    assert code == 0, err
    assert json.loads((tmp_path / "runs" / "small" / "3" / "provenance.json").read_text())["processes"] == 2
    code, _, err = fresh("test", "-c", str(experiment), *processes)
    assert code == 0, err
    both = metrics(tmp_path / "runs" / "small" / "3")["test"]
    assert main(["test", "-c", str(experiment)]) == 0
    assert both == pytest.approx(metrics(tmp_path / "runs" / "small" / "3")["test"])


def test_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fitt"]) == 2
    assert "did you mean 'fit'" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert main([]) == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.studies
@pytest.mark.parametrize("path", EXPERIMENTS, ids=str)
def test_every_experiment_runs(
    path: Path, digits_zoo: Path, classifier_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load((ROOT / path).read_text())
    regression = config["model"]["class_path"].endswith("RegressionTask")
    zoo = classifier_zoo if regression else digits_zoo
    options = ["--data.zoo", str(zoo), "--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"]
    if "positives" not in config["data"]:
        options += ["--data.n_views", "1"]
    if "label_fraction" in config["data"]:
        options += ["--data.label_fraction", "0.5"]  # of 60 objects
    encoder = config["model"]["init_args"].get("encoder")
    if encoder:
        Path(encoder).parent.mkdir(parents=True)
        arguments = config["model"]["init_args"]["backbone"]["init_args"]
        save_backbone(DWS(Zoo(digits_zoo).spec, 128, **arguments), encoder)
    assert main(["fit", "-c", str(ROOT / path), *options]) == 0
    assert {p.name for p in tmp_path.iterdir()} <= {"runs"}
    assert not list(Path().glob("**/*.ckpt"))


def test_report(fitted_experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "-c", str(fitted_experiment)]) == 0
    assert main(["report", "runs"]) == 0
    out = capsys.readouterr().out
    assert "runs/small/3" in out
    assert "test accuracy" in out
    assert "tensorboard --logdir" in out
    assert main(["report", "nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err


def test_report_of_means_and_curves(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("1", "2"):
        assert main(["fit", "-c", str(experiment), "--seed_everything", seed]) == 0
        assert main(["test", "-c", str(experiment), "--seed_everything", seed]) == 0
    capsys.readouterr()
    assert main(["report", "runs", "--mean", "--curves", "pictures/curves.png"]) == 0
    out = capsys.readouterr().out
    scores = [100 * metrics(Path("runs/small") / seed)["test"]["test/accuracy"] for seed in ("1", "2")]
    assert f"{mean(scores):.1f} +- {stdev(scores):.1f} %" in out
    assert Path("pictures/curves.png").stat().st_size > 10_000
    for file in Path("runs/small/1").glob("events.out.tfevents.*"):
        file.unlink()
    assert main(["report", "runs", "--curves", "other.png"]) == 2
    assert "has no curves: expected TensorBoard's event files" in " ".join(capsys.readouterr().err.split())


def test_a_scheduled_strength_is_in_the_checkpoint(experiment: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(experiment.read_text())
    config["data"]["augmentations"] = ["sign_flip", {"gaussian_noise": {"scale": 0.4, "ramp_epochs": 4}}]
    config["trainer"]["max_epochs"] = 3
    experiment.write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(experiment)]) == 0
    callbacks = newest(tmp_path / "runs/small/3")["callbacks"]
    (state,) = [state for key, state in callbacks.items() if key == "augmentation/gaussian_noise/0"]
    assert state == {"epoch": 2}
    assert main(["fit", "-c", str(experiment), "--ckpt_path", "last", "--trainer.max_epochs", "6"]) == 0
    callbacks = newest(tmp_path / "runs/small/3")["callbacks"]
    (state,) = [state for key, state in callbacks.items() if key == "augmentation/gaussian_noise/0"]
    assert state == {"epoch": 5}


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        ({"mixup_aligned": {"group": "permutation+scale"}}, "scale is no symmetry of networks 2-8-8-1 sine"),
        ("positive_scale", "'positive_scale' of weightspace 0.1.0: valid for relu networks only"),
        ({"scale": {"scale": 1.2}}, "'scale' of weightspace 0.1.0: scale must be in 0..1, but not 1, found 1.2"),
    ],
)
def test_augmentations_that_cannot_work_stop_before_anything_is_written(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], augmentation, message: str
) -> None:
    config = yaml.safe_load(experiment.read_text())
    config["data"]["augmentations"] = [augmentation]
    experiment.write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(experiment)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs").exists()


def test_pretraining_leaves_an_encoder_that_embeds_and_is_finetuned(
    experiment: Path, tmp_path: Path, digits_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(experiment.read_text())
    backbone = config["model"]["init_args"]
    config["model"] = {"class_path": "weightspace.tasks.ContrastiveTask", "init_args": {**backbone, "embedding": 8}}
    config["data"] |= {"positives": "both", "augmentations": ["sign_flip"]}
    pretrain = tmp_path / "pretrain.yaml"
    pretrain.write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(pretrain), "--probe.every_n_epochs", "2"]) == 0
    run = tmp_path / "runs" / "pretrain" / "3"
    assert {"val/knn_accuracy", "val/linear_accuracy", "best val/loss"} <= set(metrics(run)["fit"])
    assert (run / "encoder_best.safetensors").exists()
    assert list(run.glob("**/sprite.png")), "the projector has thumbnails"
    encoder = str(run / "encoder.safetensors")
    assert main(["embed", "--encoder", encoder, "--zoo", str(digits_zoo), "--out", "e.safetensors"]) == 0
    embeddings, zoo = load_file("e.safetensors"), Zoo(digits_zoo)
    assert embeddings["embedding"].shape == (len(zoo), 8)
    assert torch.equal(embeddings["object"], zoo.objects)
    assert torch.equal(embeddings["embedding"], embed(load_backbone(encoder), zoo.batch(torch.arange(len(zoo)))))
    capsys.readouterr()
    assert main(["embed", "--encoder", "none", "--zoo", str(digits_zoo), "--out", "f.safetensors"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["predict", "-c", str(pretrain)]) == 2
    assert "weightspace embed" in capsys.readouterr().err
    assert main(["test", "-c", str(pretrain)]) == 2
    assert "ContrastiveTask has no test, since it has no targets" in capsys.readouterr().err
    assert main(["validate", "-c", str(pretrain)]) == 0
    assert "val/loss" in metrics(run)["validate"]

    config["model"] = {
        "class_path": "weightspace.tasks.FineTuneTask",
        "init_args": {**backbone, "embedding": 8, "encoder": encoder, "mode": "linear"},
    }
    del config["data"]["positives"]
    finetune = tmp_path / "finetune.yaml"
    finetune.write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(finetune)]) == 0
    assert main(["test", "-c", str(finetune)]) == 0
    assert main(["fit", "-c", str(finetune), "--overwrite", "true", "--model.init_args.embedding", "9"]) == 2
    assert "out_dim is 9 here, and 8 in the saved weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.positives", "views", "--data.n_views", "1"], "'views' needs two views of every training object"),
        (["--model.init_args.temperature", "0"], "temperature must be > 0, found 0.0"),
        (["--data.augmentations", "[]"], "nothing that changes networks (with p > 0): both would be equal"),
        (["--data.augmentations", "[label_smoothing, {permute: {p: 0}}]"], "makes pairs of a network and itself"),
        (["--data.batch_size", "1"], "data.batch_size must be at least 2"),
        (["--model.init_args.norm", "batch", "--trainer.devices", "2"], "norm 'batch' in several processes needs GPUs"),
        (["--probe.every_n_epochs", "0"], "OnlineProbe: every_n_epochs must be at least 1, found 0"),
    ],
)
def test_pretraining_that_cannot_work_stops_before_anything_is_written(
    options: list[str], message: str, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(experiment.read_text())
    config["model"]["class_path"] = "weightspace.tasks.ContrastiveTask"
    config["data"] |= {"positives": "augment"}
    experiment.write_text(yaml.safe_dump(config))
    assert main(["fit", "-c", str(experiment), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs").exists()
