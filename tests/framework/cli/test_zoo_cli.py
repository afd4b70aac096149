from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from weightspace.cli.main import main
from weightspace.zoo import Zoo, write_zoo
from weightspace.zoo.header import FILE, ZooHeader


def test_info_tells_what_is_in_a_zoo(digits_zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "info", str(digits_zoo)]) == 0
    out = capsys.readouterr().out
    for text in ("220 of 100 objects", "2-8-8-1 sine, omega 30, output +0.5, 105 parameters", "digits", "train"):
        assert text in out


def test_info_draws_too(digits_zoo: Path, classifier_zoo: Path, tmp_path: Path) -> None:
    for zoo in (digits_zoo, classifier_zoo):
        assert main(["zoo", "info", str(zoo), "--out", str(tmp_path / "o.png")]) == 0
        image = matplotlib.image.imread(tmp_path / "o.png")
        assert image.shape[1] > 1000
        assert np.unique(image.reshape(-1, 4), axis=0).shape[0] > 20


def test_verify(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "verify", str(digits_zoo)]) == 0
    assert "64 networks: PSNR" in capsys.readouterr().out
    assert main(["zoo", "verify", str(tmp_path)]) == 2
    assert "has no zoo.json" in capsys.readouterr().err


def test_show_draws_originals_beside_decoded_networks(digits_zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "sub" / "zoo.png"
    assert main(["zoo", "show", str(digits_zoo), "--out", str(out), "--count", "5", "--split", "test"]) == 0
    image = matplotlib.image.imread(out)
    assert image.shape[1] > 5 * 80
    assert np.unique(image).size > 10


def test_show_of_an_empty_split_says_so(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "show", str(digits_zoo), "--out", str(tmp_path / "x.png"), "--split", "internal"]) == 2
    assert "no networks in the split 'internal'" in capsys.readouterr().err


def test_a_source_that_has_changed_is_noticed(tmp_path: Path, idx_family, capsys: pytest.CaptureFixture[str]) -> None:
    idx_family(tmp_path / "idx", zipped=False)
    fit = ["zoo", "fit", "--source", "idx", "--recipe", "siren", "--train", "5", "--out", str(tmp_path / "z")]
    assert main([*fit, "--path", str(tmp_path / "idx"), "--set", "steps=3"]) == 0
    (tmp_path / "idx").rename(tmp_path / "moved")
    assert main(["zoo", "verify", str(tmp_path / "z")]) == 2
    assert "path gives another folder" in capsys.readouterr().err
    assert main(["zoo", "verify", str(tmp_path / "z"), "--path", str(tmp_path / "moved")]) == 0
    labels = tmp_path / "moved" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x07")
    assert main(["zoo", "verify", str(tmp_path / "z"), "--path", str(tmp_path / "moved")]) == 2
    assert "holds other objects now" in capsys.readouterr().err


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_other_activations(tmp_path: Path, activation: str) -> None:
    fit = ["zoo", "fit", "--source", "digits", "--recipe", activation, "--train", "5", "--out", str(tmp_path / "z")]
    assert main([*fit, "--set", "steps=40", "hidden=[6, 5, 4]"]) == 0
    zoo = Zoo(tmp_path / "z")
    assert zoo.spec.activation == activation
    assert zoo.quality.isfinite().all()
    assert torch.unique(zoo.objects).numel() == 5


def test_a_fit_does_not_go_on_with_an_imported_zoo(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = str(tmp_path / "files"), str(tmp_path / "imported")
    assert main(["zoo", "export", str(digits_zoo), "--out", files]) == 0
    assert main(["zoo", "import", files, "--format", "folder", "--out", out]) == 0
    assert main(["zoo", "fit", "--source", "digits", "--train", "5", "--set", "steps=2", "--out", out]) == 2
    assert "a finished zoo of another job:\n  networks: imported there, fitted asked\n" in capsys.readouterr().err


def test_repair_of_a_zoo_from_a_gpu_is_told(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tmp_path / "zoo"
    shutil.copytree(digits_zoo, zoo)
    header = ZooHeader.read(zoo)
    header.provenance["device"] = "cuda:99"
    (zoo / FILE).write_text(header.to_text())
    (zoo / "shards" / header.shards[0].file).unlink()
    assert main(["zoo", "repair", str(zoo)]) == 2
    assert "device 'cuda:99' cannot be used here" in capsys.readouterr().err


def test_options_without_an_effect_are_refused(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = str(tmp_path / "files"), str(tmp_path / "imported")
    take = ["zoo", "import", files, "--format", "folder", "--out", out]
    assert main(["zoo", "export", str(digits_zoo), "--out", files]) == 0
    assert main(take) == 0
    fit = ["zoo", "fit", "--source", "digits", "--train", "5", "--out", str(tmp_path / "z")]
    for command, message in (
        ([*fit, "--eval_views", "2"], "eval_views 2 has no effect without val and test"),
        ([*take, "--seed", "3"], "seed 3 has no effect"),
        (["zoo", "verify", str(digits_zoo), "--sample", "-1"], "sample must be at least 0, found -1"),
        (["zoo", "verify", str(digits_zoo), "--sample", "0", "--path", "x"], "path has no effect with sample 0"),
        (["zoo", "verify", out, "--path", "x"], f"path has no effect: {out} was not fitted here"),
        (["zoo", "show", out, "--path", "x", "--out", "x.png"], "path has no effect"),
        (["zoo", "repair", str(digits_zoo), "--drop", "true", "--path", "x"], "path has no effect with drop"),
    ):
        assert main(command) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_another_import_is_refused_in_words(
    digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, take = tmp_path / "files", ["zoo", "import", str(tmp_path / "files"), "--out", str(tmp_path / "z")]
    assert main(["zoo", "export", str(digits_zoo), "--out", str(files), "--format", "numpy"]) == 0
    assert main([*take, "--format", "numpy"]) == 0
    assert main([*take, "--format", "numpy", "--value_range", "[-1, 1]"]) == 2
    assert "another job:\n  value_range: [0.0, 1.0] there, [-1.0, 1.0] asked\n" in capsys.readouterr().err
    np.save(files / "object.npy", np.load(files / "object.npy") + 5000)
    assert main([*take, "--format", "numpy"]) == 2
    assert "another job:\n  files: other networks, weights, labels or splits than then\n" in capsys.readouterr().err


def test_empty_tables_are_not_drawn(digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = Zoo(digits_zoo)
    write_zoo(tmp_path / "z", zoo.params(torch.arange(1)), zoo.spec, targets=[0])
    assert main(["zoo", "info", str(tmp_path / "z")]) == 0
    out = capsys.readouterr().out
    assert "networks of class" in out
    assert "nearest pairs" not in out
    assert "worst" not in out
