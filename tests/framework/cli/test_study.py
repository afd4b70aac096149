"""Whole studies: real runs on a tiny zoo, cut and continued, and bad input before anything runs."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from warm import WarmCommand
from weightspace.cli.main import main
from weightspace.studies.record import Record
from weightspace.zoo import Zoo

pytestmark = pytest.mark.studies

BASE = {
    "model": {
        "class_path": "weightspace.tasks.SupervisedTask",
        "init_args": {"backbone": {"class_path": "MLP", "init_args": {"hidden": 8, "layers": 1}}},
    },
    "data": {"batch_size": 16},
    "trainer": {"max_epochs": 2, "accelerator": "cpu"},
}
FLIP = {"data.augmentations": ["sign_flip"]}
#: Only a trainer finds that this has no end.
REFUSED = {"trainer.max_epochs": -1}
SHARES = {"half": {"data.label_fraction": 0.5}, "most": {"data.label_fraction": 0.9}}
SUFFIXES = ("csv", "json", "md", "png", "tex", "txt")


def write(folder: Path, zoo: Path | str, **keys: object) -> None:
    """Writes ``base.yaml`` and ``s.yaml`` of a study with one seed and the variants none and flip."""
    base = {**BASE, "data": {**BASE["data"], "zoo": str(zoo)}}
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    study = {"base": "base.yaml", "seeds": [0], "variants": {"none": {}, "flip": FLIP}, **keys}
    (folder / "s.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


def zoo_of(folder: Path) -> str:
    return str(yaml.safe_load((folder / "base.yaml").read_text())["data"]["zoo"])


def recorded(folder: Path = Path()) -> dict[str, dict]:
    return json.loads((folder / "s.study.json").read_text())["runs"]


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, digits_zoo: Path) -> Path:
    """A study of three variants, two at a time, one of which cannot be trained; ``said`` has what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    write(folder, digits_zoo, variants={"none": {}, "refused": REFUSED, "flip": FLIP})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with WarmCommand("study", "s.yaml", "--workers", "2") as running:
            out, err = running.communicate()
    (folder / "said").write_text(f"{running.returncode}\n{out}\n{err}")
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished study, which is the working directory."""
    shutil.copytree(finished, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    return tmp_path / "study"


def test_a_run_that_fails_is_listed_and_does_not_stop_the_others(finished: Path) -> None:
    code, *lines = (finished / "said").read_text().splitlines()
    said = " ".join(" ".join(lines).split())
    assert code == "1", said
    assert "1 of 3 runs failed: refused/0: trainer.max_epochs -1 trains without an end" in said
    assert "refused/0.log)" in said
    assert set(recorded(finished)) == {"none/0", "flip/0"}


def test_each_run_is_recorded_with_the_answers_behind_its_accuracy(finished: Path) -> None:
    for key, found in Record(finished / "s.study.json").results.items():
        run = finished / "runs" / "studies" / "s" / key
        assert json.loads((run / "metrics.json").read_text())["test"].items() <= found.metrics.items()
        assert found.right().mean() == pytest.approx(found.metrics["test/accuracy"])
        assert found.count == 20
        assert found.whole > found.seconds > 0
    results = recorded(finished).values()
    assert len({found["objects"] for found in results}) == 1
    assert len({found["digest"] for found in results}) == len({found["config"] for found in results}) == 2


def test_tables_are_remade_from_three_files_alone(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = finished / "runs" / "studies" / "s"
    for name in ("s.yaml", "base.yaml", "s.study.json"):
        shutil.copy(finished / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["study", "s.yaml", "--table", "--out", "tables"]) == 0
    assert "none (baseline)" in capsys.readouterr().out
    assert files(Path("tables")) == {Path("tables") / f"s.{suffix}" for suffix in SUFFIXES}
    for suffix in SUFFIXES[:3]:
        assert Path(f"tables/s.{suffix}").read_bytes() == (made / f"s.{suffix}").read_bytes()
    assert "| flip | " in Path("tables/s.md").read_text()
    assert r"\toprule" in Path("tables/s.tex").read_text()


def test_a_report_of_the_runs_has_the_differences_of_the_study(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = Path("runs/studies/s")
    assert main(["report", str(runs), "--baseline", str(runs / "none"), "--format", "json"]) == 0
    reported = {Path(row["experiment"]).name: row for row in json.loads(capsys.readouterr().out)}
    table = {row["variant"]: row for row in json.loads((runs / "s.json").read_text())}
    for key in ("test accuracy", "difference", "difference low", "difference high"):
        assert reported["flip"][key] == table["flip"][key]
        assert reported["none"][key] == table["none"][key]
    assert table["flip"]["difference"] is not None


def test_what_is_recorded_is_not_run_again(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(study, zoo_of(study))
    shutil.rmtree("runs")  # as in a fresh checkout
    assert main(["study", "s.yaml"]) == 0
    assert "0 of 2 runs to do" in capsys.readouterr().out
    assert files(Path("runs")) == {Path("runs/studies/s") / f"s.{suffix}" for suffix in SUFFIXES}


def test_variants_that_are_not_named_are_left_alone(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = recorded()
    (study / "s.study.json").unlink()
    shutil.rmtree(study / "runs/studies/s/none")
    assert main(["study", "s.yaml", "--variants", "flip"]) == 0
    assert recorded() == {"flip/0": before["flip/0"] | {"whole": 0.0}}  # collected, since it has ended before
    assert main(["study", "s.yaml", "--variants", "flipp"]) == 2
    assert "--variants flipp: it is no variant" in capsys.readouterr().err
    assert main(["study", "s.yaml", "--variants", "flip", "--rerun", "none"]) == 2
    assert "--rerun none: --variants leaves it out" in capsys.readouterr().err


def test_runs_that_have_ended_unseen_are_collected(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(study, zoo_of(study))
    before = recorded()
    Path("s.study.json").unlink()
    assert main(["study", "s.yaml"]) == 0
    assert "0 of 2 runs to do" in capsys.readouterr().out
    assert {key: found["metrics"] for key, found in recorded().items()} == {k: f["metrics"] for k, f in before.items()}


def test_a_changed_variant_needs_to_be_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(study, zoo_of(study), variants={"none": {}, "flip": {"data.augmentations": ["permute"]}})
    before = files(study)
    for arguments in ([], ["--rerun", "none"], ["--dry-run"]):
        assert main(["study", "s.yaml", *arguments]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "holds 1 results of other configurations than s.yaml has now (flip)" in said
    assert "--rerun flip" in said
    assert files(study) == before
    assert main(["study", "s.yaml", "--table", "--out", "t"]) == 0
    assert "| flip |  | 0 |" in Path("t/s.md").read_text()


def test_a_study_goes_on_where_it_was_killed(
    tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch, children: Callable[[int], list[int]]
) -> None:
    monkeypatch.chdir(tmp_path)
    epochs = 15
    write(tmp_path, digits_zoo, variants={"none": {"trainer.max_epochs": epochs}})
    steps = Path("runs/studies/s/none/0/checkpoints")
    with WarmCommand("study", "s.yaml") as running:
        while not list(steps.glob("step-*.ckpt")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.02)
        (child,) = children(running.pid)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    killed = time.monotonic()
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < killed + 10, "its run goes on without it"
        time.sleep(0.05)
    assert not recorded()
    assert main(["study", "s.yaml"]) == 0
    assert recorded()["none/0"]["metrics"]["epochs"] == epochs
    assert Path("runs/studies/s/none/0.log").read_text().count(f"epoch 1/{epochs}:") == 1, "it began again"


@pytest.mark.long
def test_a_variant_is_run_again_when_that_is_asked_for(study: Path) -> None:
    write(study, zoo_of(study), variants={"none": {}, "flip": {"data.augmentations": ["permute"]}})
    before = recorded()
    assert main(["study", "s.yaml", "--rerun", "flip"]) == 0
    after = recorded()
    assert after["none/0"] == before["none/0"]
    assert after["flip/0"]["digest"] != before["flip/0"]["digest"]
    config = yaml.safe_load(Path("runs/studies/s/flip/0/config.yaml").read_text())
    assert config["data"]["augmentations"] == ["permute"]
    assert main(["study", "s.yaml", "--rerun", "flip"]) == 0, "though nothing has changed"
    assert recorded()["flip/0"]["metrics"]["test/accuracy"] == after["flip/0"]["metrics"]["test/accuracy"]


@pytest.mark.long
def test_runs_are_jobs_of_a_cluster(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of submitit's executor for one machine; the submitter is killed, and its job is waited for, not doubled."""
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    write(tmp_path, digits_zoo, overrides={"trainer.max_epochs": 150}, variants={"none": {}, "refused": REFUSED})
    command = ["study", "s.yaml", "--cluster", "local", "--cluster-set", "timeout_min=10"]
    with WarmCommand(*command) as running:
        while not list(Path().glob("runs/studies/s/none/0/checkpoints/step-*.ckpt")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    assert main([*command, "--workers", "2"]) == 1, "one of both is refused"
    assert set(recorded()) == {"none/0"}
    assert recorded()["none/0"]["metrics"]["epochs"] == 150
    assert Path("runs/studies/s/none/0.log").read_text().count("epoch 1/150:") == 1
    jobs = list(Path("runs/studies/s/jobs").glob("*/*_submitted.pkl"))
    assert len(jobs) == 2


def test_a_zoo_of_several_commands_is_missing_until_all_have_ended(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    fit = "fit --source digits --recipe siren --mode eager --set steps=2 hidden=[8] --train 20 --val 5 --test 5"
    write(tmp_path, "zoos/z", zoos={"zoos/z": f"{fit} && align --to nobody"})
    assert main(["study", "s.yaml", "--make-zoos"]) == 2
    assert Path("zoos/z/zoo.json").is_file()
    assert Path("zoos/z.unfinished").is_file()
    write(tmp_path, "zoos/z", zoos={"zoos/z": f"{fit} && align --to mean"})
    capsys.readouterr()
    assert main(["study", "s.yaml", "--dry-run"]) == 0
    assert "the zoo zoos/z is not finished, as zoos/z.unfinished says: weightspace zoo fit" in capsys.readouterr().out
    assert main(["study", "s.yaml", "--make-zoos"]) == 0
    assert Zoo("zoos/z").alignments == ["mean"]
    assert not Path("zoos/z.unfinished").exists()


@pytest.mark.long
def test_missing_zoos_are_made_when_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit = "fit --source digits --recipe siren --set steps=60 hidden=[8,8] --train 60 --val 20 --test 20"
    write(
        tmp_path,
        "zoos/z",
        zoos={"zoos/z": fit},
        variants={"none": {}, "relu": {"data.augmentations": ["positive_scale"]}},
    )
    assert main(["study", "s.yaml", "--make-zoos"]) == 2, "once it is there, all is built for it before anything runs"
    assert Path("zoos/z/zoo.json").is_file()
    assert not Path("runs").exists()
    write(tmp_path, "zoos/z", zoos={"zoos/z": fit})
    assert main(["study", "s.yaml", "--make-zoos"]) == 0
    assert len(recorded()) == 2
    write(tmp_path, "zoos/aligned", zoos={"zoos/aligned": f"{fit} && align --to mean"})
    assert main(["study", "s.yaml", "--make-zoos", "--rerun"]) == 0
    assert Zoo("zoos/aligned").alignments == ["mean"]


@pytest.mark.long
def test_each_fold_is_tested_by_a_run_of_its_own(
    tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, digits_zoo, folds=2)
    assert main(["study", "s.yaml", "--workers", "2"]) == 0
    results = Record(Path("s.study.json")).results
    assert set(results) == {f"{variant}/fold {fold}/0" for variant in ("none", "flip") for fold in (0, 1)}
    tested = [set(_objects(Path(f"runs/studies/s/none/fold {fold}/0/predictions.csv"))) for fold in (0, 1)]
    assert not tested[0] & tested[1]
    assert len(tested[0] | tested[1]) == 100  # all of the zoo's objects
    rows = json.loads(Path("runs/studies/s/s.json").read_text())
    right = [np.concatenate([results[f"{name}/fold {fold}/0"].right() for fold in (0, 1)]) for name in ("none", "flip")]
    assert [row["test accuracy"] for row in rows] == [pytest.approx(found.mean()) for found in right]
    assert rows[1]["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert "2 variants x 1 seeds x 2 folds" in capsys.readouterr().out


def _objects(predictions: Path) -> list[str]:
    return [line.split(",")[0] for line in predictions.read_text().splitlines()[1:]]


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ({"seedz": [0]}, [], "unknown key 'seedz': did you mean 'seeds'"),
        ({"seeds": [1, 1]}, [], "seed 1 is given twice"),
        ({"base": "none.yaml"}, [], "there is no base none.yaml"),
        ({"variants": {"a": FLIP, "b": FLIP}}, [], "the variants 'a' and 'b' are the same"),
        ({"variants": {"a": {}, "b": {"data.num_workers": 0}}}, [], "are the same: they differ in defaults alone"),
        ({"variants": {"a": {"data.batchsize": 1}}}, [], "s.yaml: a: "),
        ({"variants": {"a": {"trainer.max_epochs": "many"}}}, [], "s.yaml: a: "),
        ({"variants": {"a": {"model.init_args.backbone": {"class_path": "DSW"}}}}, [], "s.yaml: a: "),
        ({"variants": {"a": {"data.augmentations": ["sign_flop"]}}}, [], "did you mean 'sign_flip'"),
        ({"variants": {"a": {"data.augmentations": [{"rotate": {"degree": 1}}]}}}, [], "s.yaml: a: "),
        (
            {"variants": {"a": {"model.init_args.backbone.init_args.hiden": 8}}},
            [],
            "s.yaml: a: model: there is no option",
        ),
        ({"variants": {"a": {"model.init_args.backbone.init_args.hidden": -3}}}, [], "s.yaml: a: MLP: hidden must be"),
        ({"variants": {"a": {"model.init_args.learning_rate": -1}}}, [], "s.yaml: a: learning_rate must be > 0"),
        ({"variants": {"a": {"data.n_views": 7}}}, [], "s.yaml: a: n_views (of this zoo's training objects)"),
        ({"variants": {"a": {"data.positives": "views"}}}, [], "s.yaml: a: SupervisedTask does not learn from pairs"),
        (
            {"variants": {"a": {"data.augmentations": ["positive_scale"]}}},
            [],
            "s.yaml: a: augmentation 'positive_scale' of weightspace 0.1.0: valid for relu networks only",
        ),
        (
            {
                "columns": {"c": {}, "d": {"data.augmentations": [{"gaussian_noise": {"factors": [1, 2]}}]}},
                "variants": {"none": {}},
            },
            ["--dry-run"],
            "s.yaml: none/d: augmentation 'gaussian_noise' of weightspace 0.1.0: factors are one for each of 6 tensors",
        ),
        ({"variants": {"a": {"data.zoo": "zoos/missing"}}}, [], "no zoo zoos/missing, and `zoos` does not say"),
        (
            {"variants": {"a": {"data.zoo": "zoos/{varaint}"}}},
            [],
            "s.yaml: a: {varaint} in 'zoos/{varaint}' stands for",
        ),
        ({"variants": {"a": {"data.zoo": "zoos/{seed}"}}}, [], "{seed} in the zoo zoos/{seed} stands for nothing"),
        (
            {"variants": {"a": {"data.zoo": "zoos/missing"}}, "zoos": {"zoos/missing": "fit --source digits"}},
            [],
            "make them with --make-zoos, or by weightspace zoo fit --source digits --out zoos/missing",
        ),
        (
            {"columns": SHARES, "amounts": "labels"},
            [],
            "the names of columns are the amounts: expected a number",
        ),
        ({"columns": {"1": {}}, "amounts": "labels"}, [], "a curve needs two columns or more, found 1"),
        ({"columns": SHARES, "baseline_columns": SHARES}, [], "'half' is in columns and in baseline_columns"),
        ({"columns": SHARES, "baseline_columns": {"all": {"data.labels": 1}}}, [], "s.yaml: none/all: "),
        ({"baseline_column": SHARES}, [], "unknown key 'baseline_column': did you mean 'baseline_columns'"),
        ({"folds": 2000}, [], "objects of class"),
        ({}, ["--rerun", "flap"], "--rerun flap: it is no variant"),
        ({}, ["--workers", "0"], "workers must be at least 1, found 0"),
        ({}, ["--table"], "holds no result of s.yaml: run the study"),
        ({}, ["--cluster", "moon"], "cluster moon"),
        ({}, ["--cluster", "local", "--cluster-set", "timeout_min"], "cluster-set: expected items like name=value"),
        ({}, ["--cluster", "local", "--cluster-set", "nonsense=3"], "cluster local: "),
    ],
)
def test_bad_input_is_one_message_before_anything_runs(
    keys: dict, options: list[str], message: str, tmp_path: Path, digits_zoo: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(tmp_path, digits_zoo, **keys)
    assert main(["study", "s.yaml", *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("error:") == 1
    assert message in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.yaml", "s.yaml"]


def test_a_damaged_record_is_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.study.json").write_text(Path("s.study.json").read_text()[:-20])
    damaged = Path("s.study.json").read_bytes()
    for options in ([], ["--table"], ["--dry-run"], ["--rerun"]):
        assert main(["study", "s.yaml", *options]) == 2
        assert "s.study.json" in capsys.readouterr().err
    assert Path("s.study.json").read_bytes() == damaged
