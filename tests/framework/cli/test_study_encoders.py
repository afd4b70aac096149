"""A study of pretraining, and one of fine-tuning that starts from its encoders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main
from weightspace.cli.study_needs import missing_encoders
from weightspace.studies.study import read_study

pytestmark = pytest.mark.studies

BACKBONE = {"class_path": "MLP", "init_args": {"hidden": 8, "layers": 1}}
TRAINER = {"max_epochs": 2, "accelerator": "cpu"}
ENCODER = "runs/studies/pre/{variant}/{column}/0/encoder.safetensors"
COLUMNS = {"narrow": {}, "wide": {"model.init_args.backbone.init_args.hidden": 12}}
CHANGES = {"none": {"data.augmentations": []}, "flip": {"data.augmentations": ["sign_flip"]}}


def write(path: str, task: str, zoo: Path, **keys: object) -> None:
    """Writes a study and its base, which is named after it."""
    model = {"class_path": f"weightspace.tasks.{task}", "init_args": {"backbone": BACKBONE, "embedding": 6}}
    data = {"zoo": str(zoo), "batch_size": 16, "positives": "views" if task == "ContrastiveTask" else None}
    Path(f"{path}_base.yaml").write_text(yaml.safe_dump({"model": model, "data": data, "trainer": TRAINER}))
    study = {"base": f"{path}_base.yaml", "seeds": [0], "columns": COLUMNS, **keys}
    Path(f"{path}.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


@pytest.fixture
def studies(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``pre.yaml`` trains an encoder for each of two variants in two columns, from which ``fine.yaml`` starts."""
    monkeypatch.chdir(tmp_path)
    write("pre", "ContrastiveTask", digits_zoo, variants=CHANGES, tested=False, metrics=["val/loss"])
    overrides = {"model.init_args.encoder": ENCODER}
    variants = {"scratch": {"model.init_args.encoder": None}, "none": {}, "flip": {}}
    encoders = {"runs/studies/pre/*": "study pre.yaml"}
    write("fine", "FineTuneTask", digits_zoo, variants=variants, overrides=overrides, encoders=encoders)
    return tmp_path


def only(path: str, *variants: str) -> None:
    """Leaves these variants of a study, and its first column."""
    content = yaml.safe_load(Path(path).read_text())
    content["variants"] = {name: content["variants"][name] for name in variants}
    content["columns"] = {"narrow": {}}
    Path(path).write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.mark.long
def test_encoders_are_made_by_their_study(studies: Path, capfd: pytest.CaptureFixture[str]) -> None:
    only("pre.yaml", "flip")
    only("fine.yaml", "flip")
    assert main(["study", "fine.yaml", "--make-encoders"]) == 0
    (pretrained,) = json.loads(Path("pre.study.json").read_text())["runs"].values()
    assert pretrained["correct"] == "", "it was not tested"
    assert {"val/loss", "seconds"} <= pretrained["metrics"].keys()
    (tuned,) = json.loads(Path("fine.study.json").read_text())["runs"].values()
    assert tuned["count"] == 20
    assert tuned["origins"]["encoder"]["path"] == "runs/studies/pre/flip/narrow/0/encoder.safetensors"
    assert main(["study", "fine.yaml"]) == 0
    config = Path("runs/studies/pre/flip/narrow/0/config.yaml")
    config.write_text(config.read_text().replace("batch_size: 16", "batch_size: 17"))
    capfd.readouterr()
    assert main(["study", "fine.yaml"]) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert (
        "0/encoder.safetensors: made in another way than what 1 results of fine.yaml were measured with (flip)" in said
    )
    assert main(["study", "pre.yaml", "--table", "--out", "tables"]) == 0
    shutil.rmtree("runs")  # what is recorded needs no encoder
    assert main(["study", "fine.yaml"]) == 0
    assert "0 of 1 runs to do" in capfd.readouterr().out
    assert main(["study", "fine.yaml", "--make-encoders", "--rerun"]) == 2
    assert "its runs are gone, `weightspace study pre.yaml --rerun` makes them again" in capfd.readouterr().err


def test_each_cell_reads_its_own_encoder_and_one_command_makes_all(
    studies: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = read_study(Path("fine.yaml"))
    for variant in CHANGES:
        for column in COLUMNS:
            given = study.changes(variant, column)["model"]["init_args"]["encoder"]
            assert given == f"runs/studies/pre/{variant}/{column}/0/encoder.safetensors"
    assert main(["study", "fine.yaml", "--dry-run"]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert said.count("weightspace study pre.yaml") == 1
    assert "there is no encoder runs/studies/pre/none/narrow/0/encoder.safetensors (and 3 more) yet" in said


def test_each_fold_reads_its_own_encoder(studies: Path, capfd: pytest.CaptureFixture[str]) -> None:
    only("fine.yaml", "none", "flip")
    content = yaml.safe_load(Path("fine.yaml").read_text())
    encoder = "runs/studies/pre/{variant}/{column}/fold {fold}/0/encoder.safetensors"
    content |= {"folds": 3, "overrides": {"model.init_args.encoder": encoder, "data.n_views": 1}}
    Path("fine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert main(["study", "fine.yaml", "--dry-run"]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "there is no encoder runs/studies/pre/none/narrow/fold 0/0/encoder.safetensors (and 5 more) yet" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "encoders are missing: make them with --make-encoders, or by weightspace study pre.yaml"),
        ({"encoders": {}}, "there is no encoder runs/studies/pre/none/narrow/0/encoder.safetensors, and `encoders`"),
        (
            {"overrides": {"model.init_args.encoder": "runs/studies/pre/{variant}/{seed}/encoder.safetensors"}},
            "{seed} in the encoder runs/studies/pre/none/{seed}/encoder.safetensors stands for nothing: {variant} and",
        ),
        (
            {"overrides": {"model.init_args.encoder": ENCODER.replace("variant", "varaint")}},
            "fine.yaml: none: {varaint} in 'runs/studies/pre/{varaint}/{column}/0/encoder.safetensors' stands for",
        ),
        ({"encoders": {"runs/*": 3}}, "encoders: runs/*: expected text like `fit -c pretrain.yaml`, found 3"),
        ({"tested": "no"}, "tested should be true or false, found 'no'"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    change: dict[str, object], message: str, studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(Path("fine.yaml").read_text())
    Path("fine.yaml").write_text(yaml.safe_dump({**content, **change}, sort_keys=False))
    assert main(["study", "fine.yaml"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("runs").exists()


def test_a_command_that_does_not_make_its_encoder_is_named(studies: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load(Path("fine.yaml").read_text())
    content["encoders"] = {"runs/studies/pre/*": "augmentations"}  # a command that succeeds, and makes nothing
    Path("fine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert main(["study", "fine.yaml", "--make-encoders"]) == 2
    assert "could not be made (`weightspace augmentations` has not made it)" in capfd.readouterr().err


@pytest.mark.parametrize(
    "encoder", [pytest.param("runs/p/0", marks=pytest.mark.long), "runs/p/0/encoder_best.safetensors"]
)
def test_an_encoder_whose_training_was_cut_is_missing_and_gone_on_with(
    encoder: str, studies: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    changes = {"overrides": {"model.init_args.encoder": encoder}, "variants": {"none": {}}, "columns": {"narrow": {}}}
    content = yaml.safe_load(Path("fine.yaml").read_text()) | changes
    command = "fit -c pre_base.yaml --experiment p --seed_everything 0"
    Path("fine.yaml").write_text(yaml.safe_dump({**content, "encoders": {"runs/p/0*": command}}))
    assert main(command.split()) == 0
    run = Path("runs/p/0")
    best, last = (run / f"encoder{which}.safetensors" for which in ("_best", ""))
    trained = last.read_bytes()
    for path in (run / "metrics.json", run / "ending.json", last):  # written at the end
        path.unlink()
    capfd.readouterr()
    assert main(["study", "fine.yaml", "--dry-run"]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert f"there is no encoder {encoder} yet: weightspace {command} --auto_resume true" in said
    best.unlink()  # cut before the first best epoch
    assert main(["study", "fine.yaml", "--dry-run"]) == 0
    assert "there is no encoder" in capfd.readouterr().out
    best.write_bytes(trained)
    assert main(["study", "fine.yaml", "--make-encoders"]) == 0
    assert last.read_bytes() == trained, "the run has gone on at its checkpoint"


def test_a_command_that_says_how_to_train_is_left_as_it_is(studies: Path) -> None:
    content = yaml.safe_load(Path("fine.yaml").read_text())
    for option in ("--overwrite=true", "--auto_resume false", "--ckpt_path last"):
        Path("fine.yaml").write_text(yaml.safe_dump({**content, "encoders": {"*": f"fit -c a.yaml {option}"}}))
        (need,) = missing_encoders(read_study(Path("fine.yaml")), ["e.safetensors"])
        assert need.commands == (("fit", "-c", "a.yaml", *option.split()),)


def test_runs_that_cannot_be_tested_are_found_before_any_is_trained(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(Path("pre.yaml").read_text())
    for change, message in (
        ({"tested": True}, "pre.yaml: none/narrow: ContrastiveTask has no test: give the study `tested: false`"),
        ({"metrics": ["val/loss", "test/accuracy"]}, "runs that are only trained have no test/accuracy"),
    ):
        Path("pre.yaml").write_text(yaml.safe_dump({**content, **change}, sort_keys=False))
        assert main(["study", "pre.yaml", "--dry-run"]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
