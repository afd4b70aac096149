"""Whole fits: real processes, real kills, real full disks."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import contents
from warm import WarmCommand
from weightspace.cli.main import main
from weightspace.errors import ZooError
from weightspace.fitting import job
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.recipes import load_recipe
from weightspace.sources import load_source
from weightspace.sources.image_source import ImageSource
from weightspace.zoo import Zoo
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.writer import ZooWriter

FIT = ["zoo", "fit", "--source", "digits", "--recipe", "siren", "--set", "hidden=[8, 8]"]
SIZES = ["--train", "500", "--val", "50", "--test", "50"]


def fit(out: Path, *options: str) -> int:
    return main([*FIT, *options, "--out", str(out)])


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_cut_fit_goes_on_and_ends_in_the_same_bytes(tmp_path: Path, how: signal.Signals) -> None:
    options = ["steps=120", *SIZES]  # 600 networks in three shards
    first = tmp_path / "cut" / "shards" / "00000.safetensors"
    journal = tmp_path / "cut" / "journal.jsonl"
    with WarmCommand(*FIT, *options, "--out", str(tmp_path / "cut")) as running:
        while not journal.exists() or journal.read_text().count("\n") < 2:  # the job, and one whole shard
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        running.send_signal(how)
        _, err = running.communicate()
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert "run it again to resume" in err
    assert not (tmp_path / "cut" / "zoo.json").exists(), "the fit ended before it was cut"
    written = first.stat().st_mtime_ns
    assert fit(tmp_path / "cut", *options) == 0
    assert first.stat().st_mtime_ns == written, "a whole shard was fitted again"
    assert fit(tmp_path / "whole", *options) == 0
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_journal_line_cut_in_half_is_dropped(tmp_path: Path) -> None:
    options = ["steps=3", "--train", "300"]
    assert fit(tmp_path / "whole", *options) == 0
    out = tmp_path / "cut"
    source, recipe = load_source("digits"), load_recipe("siren", {"hidden": [8, 8], "steps": 3})
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), source.coordinates(), "eager")
    fit_job = job.ZooFit(source, job.ZooPlan(300, 0, 0), fitter, out)
    with fit_job.writer as writer:
        tally = job._Tally(300, 0, lambda state: None)
        writer.write(*fit_job._shard(slice(0, 256), tally))
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"file": "00001')
    assert fit(out, *options) == 0
    assert contents(out) == contents(tmp_path / "whole")


class Grouped(ImageSource):
    """Digits, each three of which count as near-copies."""

    groups = np.arange(1797) // 3


def test_a_zoo_names_those_of_its_objects_that_are_near_copies(tmp_path: Path) -> None:
    source, recipe = load_source("digits"), load_recipe("siren", {"hidden": [4, 4], "steps": 1})
    grouped = Grouped(**{field.name: getattr(source, field.name) for field in fields(source)})
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), source.coordinates(), "eager")
    job.ZooFit(grouped, job.ZooPlan(900, 30, 30), fitter, tmp_path / "grouped").run(lambda state: None)
    zoo = Zoo(tmp_path / "grouped")
    objects = zoo.objects.tolist()
    members = [[item for item in objects if item // 3 == group] for group in range(len(source) // 3)]
    assert sorted(zoo.near_copies) == [sorted(group) for group in members if len(group) > 1]
    assert zoo.near_copies
    splits = dict(zip(objects, zoo.splits.tolist(), strict=True))
    assert all(len({splits[item] for item in group}) == 1 for group in zoo.near_copies)
    job.ZooFit(source, job.ZooPlan(4, 0, 0), fitter, tmp_path / "single").run(lambda state: None)
    assert "near_copies" not in ZooHeader.read(tmp_path / "single").provenance


def test_a_second_run_has_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tmp_path / "z", "steps=3", "--train", "20") == 0
    before = contents(tmp_path / "z")
    assert fit(tmp_path / "z", "steps=3", "--train", "20") == 0
    assert contents(tmp_path / "z") == before
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["steps=4", "--train", "20"], ["recipe field steps: 3 there, 4 asked"]),
        (["steps=3", "--train", "21", "--seed", "2"], ["seed: 0 there, 2 asked", "train: 20 there, 21 asked"]),
        (["steps=3", "--train", "20", "--recipe", "dwsnets"],
         ["recipe: siren, hidden=[8, 8], steps=3 there, dwsnets, hidden=[8, 8], steps=3 asked"]),
        (["steps=3", "--train", "20", "--source", "shapes", "--source_set", "points=64"],
         ["source: digits there, shapes asked"]),
    ],
)  # fmt: skip
def test_another_job_on_the_same_folder_is_refused_by_what_was_given(
    tmp_path: Path, options: list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "z", "steps=3", "--train", "20") == 0
    assert fit(tmp_path / "z", *options) == 2
    head, *found, remedy = capsys.readouterr().err.strip().split("\n")
    assert head == f"error: {tmp_path / 'z'} holds a finished zoo of another job:"
    assert [line.strip() for line in found] == lines
    assert remedy == "choose another folder, or give the same arguments"


def test_the_same_job_in_another_way_says_just_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tmp_path / "z", "steps=3", "--train", "20") == 0
    header = ZooHeader.read(tmp_path / "z")
    header.provenance["versions"]["torch"] = "1.0"
    (tmp_path / "z" / "zoo.json").write_text(header.to_text())
    assert fit(tmp_path / "z", "steps=3", "--train", "20", "--mode", "compiled") == 2
    head, *found, _ = capsys.readouterr().err.strip().split("\n")
    assert head.endswith("holds a finished zoo of this job, made in another way, which gives other last bits:")
    assert [line.strip() for line in found] == [
        "mode: eager there, compiled asked",
        f"version of torch: 1.0 there, {torch.__version__} asked",
    ]


def test_a_finished_zoo_is_opened_with_other_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tmp_path / "z", "steps=3", "--train", "20") == 0
    header = ZooHeader.read(tmp_path / "z")
    header.provenance["versions"]["torch"] = "1.0"
    (tmp_path / "z" / "zoo.json").write_text(header.to_text())
    before = contents(tmp_path / "z")
    assert fit(tmp_path / "z", "steps=3", "--train", "20") == 0
    assert contents(tmp_path / "z") == before
    assert "nothing to do" in capsys.readouterr().out


def test_arguments_of_the_source_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["zoo", "fit", "--source", "classifiers", "--recipe", "classifier", "--train", "3", "--set", "steps=2"]
    assert main([*command, "--source_set", "data=iris", "--out", str(tmp_path / "z")]) == 0
    assert main([*command, "--source_set", "data=iris", "seed=4", "--out", str(tmp_path / "z")]) == 2
    assert "\n  source argument seed: 0 there, 4 asked\n" in capsys.readouterr().err


def test_diverged_networks_are_refitted_once_then_left_out_and_listed(tmp_path: Path) -> None:
    source = load_source("digits")
    recipe = load_recipe("siren", {"hidden": [8, 8], "steps": 5})
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), source.coordinates(), "eager")
    fit_job = job.ZooFit(source, job.ZooPlan(20, 0, 0), fitter, tmp_path / "z")
    # two networks are made to diverge: one at the first attempt, one at both
    healthy, attempts = fit_job._fit, []

    def sabotaged(objects, views, attempt, tally):
        attempts.append((attempt, objects.tolist()))
        fits = healthy(objects, views, attempt, tally)
        broken = objects == fit_job.rows["object"][3]
        if attempt == 0:
            broken |= objects == fit_job.rows["object"][5]
        fits.params[broken] = torch.nan
        return fits

    fit_job._fit = sabotaged
    states: list[job.Progress] = []
    header = fit_job.run(states.append)
    assert (states[-1].refitted, states[-1].left_out, states[-1].done) == (2, 1, 20)
    lost = int(fit_job.rows["object"][3])
    assert [a for a, _ in attempts] == [0, 1]
    assert len(attempts[1][1]) == 2
    assert header.left_out == [{"object": lost, "view": 0, "reason": "diverged twice"}]
    zoo = Zoo(tmp_path / "z")
    assert len(zoo) == 19
    assert lost not in zoo.objects
    assert zoo.params(torch.arange(19)).isfinite().all()


def test_a_recipe_that_always_diverges_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tmp_path / "z", "steps=30", "learning_rate=1e+38", "schedule=constant", "--train", "5") == 2
    assert "no network is left" in capsys.readouterr().err
    assert not (tmp_path / "z").exists()


def test_a_folder_that_a_kill_left_without_a_journal_is_taken(tmp_path: Path) -> None:
    (tmp_path / "z" / "shards").mkdir(parents=True)
    (tmp_path / "z" / ".journal.jsonl.1.tmp").write_text("{")
    assert fit(tmp_path / "z", "steps=3", "--train", "5") == 0
    assert sorted(contents(tmp_path / "z")) == ["shards/00000.safetensors", "zoo.json"]


def test_test_objects_come_from_the_sources_own_test_set(tmp_path: Path, idx_family) -> None:
    idx_family(tmp_path / "idx", zipped=True)
    source = load_source("idx", path=str(tmp_path / "idx"))
    rows = job.ZooPlan(8, 4, 6, views=2).rows(source)
    objects, splits, views = rows["object"], rows["split"], rows["view"]
    assert (objects[splits == 2] >= 12).all()
    assert (objects[splits < 2] < 12).all()
    assert views[splits == 0].tolist() == [0, 1] * 8
    with pytest.raises(ZooError, match="has 12 training and 6 test objects"):
        job.ZooPlan(8, 5, 6).rows(source)


def test_a_full_disk_is_an_error_and_no_broken_zoo(tmp_path: Path) -> None:
    out = tmp_path / "z"
    # 20,000 bytes per file: the shard does not fit
    with WarmCommand(*FIT, "steps=3", "--train", "100", "--out", str(out), file_size=20_000) as running:
        _, err = running.communicate()
    assert running.returncode == 2
    shard = out / "shards/00000.safetensors"
    assert f"error: {shard} cannot be written: a quota or a limit of file sizes is reached: " in err
    assert "bytes are needed" in err
    assert "make room, then run it again to resume" in err
    assert "Traceback" not in err
    assert sorted(contents(out)) == ["journal.jsonl"]
    assert fit(out, "steps=3", "--train", "100") == 0  # with room, the same command resumes


@pytest.mark.parametrize("where", ["file", "child of a file", "/proc/weightspace"])
def test_an_unwritable_folder_is_an_error(tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    out = {"file": tmp_path / "file", "child of a file": tmp_path / "file" / "z"}.get(where, Path(where))
    assert fit(out, "steps=3", "--train", "5") == 2
    assert f"the zoo at {out} cannot be written" in capsys.readouterr().err


def test_a_folder_with_other_things_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("")
    assert fit(tmp_path, "steps=3", "--train", "5") == 2
    assert "is not empty and holds no zoo" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["thesis.tex"]


def test_two_writers_at_once(tmp_path: Path, zoo: Zoo) -> None:
    with ZooWriter(tmp_path / "z", {}, zoo.header), pytest.raises(ZooError, match="another process is writing"):
        ZooWriter(tmp_path / "z", {}, zoo.header).__enter__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train", "1700", "--val", "200"], "has 1797 objects"),
        (["--train", "0"], "train must be at least 1, found 0"),
        (["--train", "5", "--views", "0"], "views must be at least 1"),
        (["--train", "many"], "train: expected int, found 'many'"),
        (["--train", "5", "--mode", "fast"], "mode must be one of auto, compiled, eager"),
        (["--train", "5", "--path", "x"], "it takes no arguments"),
        (["hidden=[8,", "--train", "5"], "no readable value: put a value with spaces in quotes"),
        (["[steps=3,", "hidden=8]", "--train", "5"], "and no brackets around them, found '[steps=3,'"),
        (["--train", "5", "--device", "abacus"], "device 'abacus' cannot be used here"),
    ],
)
def test_bad_options_say_why(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "z", "steps=3", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "z").exists()


def test_provenance_is_complete(zoo: Zoo, digits_zoo: Path) -> None:
    provenance = json.loads((digits_zoo / "zoo.json").read_text())["provenance"]
    assert provenance["source"] == {"name": "digits", "digest": load_source("digits").digest}
    assert provenance["recipe"] == load_recipe("siren", {"steps": 60, "hidden": [8, 8]}).to_json()
    assert (provenance["mode"], provenance["plan"]["views"]) == ("eager", 3)
    assert set(provenance["versions"]) == {"weightspace", "torch", "numpy"}
