"""Files that are not those of the Small CNN Zoo, and wrong options of its import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_cnn_files import change, table, write_csv, write_small_cnns
from weightspace.errors import ConfigError
from weightspace.importing import import_zoo

RELU = ["--where", "activation=relu"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--where", "activations=relu"],
            "no column 'activations': did you mean 'activation'? Known: activation, b_init",
        ),
        (["--where", "activation=rellu"], "no network has activation 'rellu': did you mean 'relu'? Known: relu, tanh"),
        (["--where", "test_loss=7"], "there are 18 numbers from 1.764 to 1.9"),
        (["--where", "activation=tanh", "optimizer=adam", "dropout=0.5"], "no network has all of activation=tanh, "),
        (["--where", "relu"], "expected items like activation=relu, found 'relu'"),
        (["--where", "step=3", "--where", "step=86"], "where: step cannot be both 3 and 86"),
        (
            [*RELU, "--target", "value"],
            "target must be one of test_accuracy, train_accuracy, test_loss, train_loss, found",
        ),
        ([*RELU, "--activation", "relu"], "activation, omega and output_offset are in metrics.csv and layout.csv"),
        ([*RELU, "--val", "3"], "leave none of 3 objects"),
        ([*RELU, "--key", "model"], "key: an option of dwsnets and nfn and folder, not of small-cnn-zoo"),
        ([*RELU, "--spec", "nowhere.json"], "nowhere.json should be the networks' architecture, and cannot be read"),
    ],
)
def test_what_was_asked_wrongly(tmp_path: Path, options: list[str], message: str, refused: Callable[..., str]) -> None:
    write_small_cnns(tmp_path / "files")
    assert message in refused(tmp_path / "files", *options)


def damage_layout(root: Path, line: int, old: str, new: str) -> None:
    lines = (root / "layout.csv").read_text().splitlines()
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new)
    (root / "layout.csv").write_text("\n".join(lines))


def rename(root: Path, column: str, name: str) -> None:
    header, *rows = table(root)
    write_csv(root / "metrics.csv.gz", [[name if known == column else known for known in header], *rows])


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no weights": (lambda root: (root / "weights.npy").unlink(), "weights.npy cannot be read as an array: No such"),
    "no layout": (lambda root: (root / "layout.csv").unlink(), "layout.csv cannot be read: No such file"),
    "no table": (lambda root: (root / "metrics.csv.gz").unlink(), "metrics.csv and metrics.csv.gz, found neither"),
    "two tables": (lambda root: (root / "metrics.csv").write_text("a"), "metrics.csv.gz, found both"),
    "no array": (lambda root: (root / "weights.npy").write_text("no array"), "expected an array as numpy.save writes"),
    "an archive": (
        lambda root: (np.savez(root / "a.npz", a=np.zeros(3)), (root / "a.npz").replace(root / "weights.npy")),
        "expected an array as numpy.save writes it, found something else",
    ),
    "objects": (
        lambda root: np.save(root / "weights.npy", np.array([[{}]], dtype=object), allow_pickle=True),
        "holds pickled objects, which can run any code, and is not read",
    ),
    "whole numbers": (
        lambda root: np.save(root / "weights.npy", np.zeros((18, 243), np.int64)), "real numbers, a row for each",
    ),
    "truncated": (
        lambda root: (root / "weights.npy").write_bytes((root / "weights.npy").read_bytes()[:-1]),
        "weights.npy cannot be read as an array",
    ),
    "another width": (
        lambda root: np.save(root / "weights.npy", np.zeros((18, 250), np.float32)),
        "layout.csv describes 243 numbers for each network, found float32 (18, 250)",
    ),
    "other rows": (
        lambda root: np.save(root / "weights.npy", np.zeros((17, 243), np.float32)),
        "metrics.csv.gz has 18 rows, and there are weights of 17 networks",
    ),
    "a damaged table": (
        lambda root: (root / "metrics.csv.gz").write_bytes((root / "metrics.csv.gz").read_bytes()[:-9]),
        "metrics.csv.gz cannot be read",
    ),
    "a short row": (
        lambda root: write_csv(root / "metrics.csv.gz", [*table(root)[:5], ["1"], *table(root)[6:]]),
        "row 5 has 1 entries for 14 columns",
    ),
    "no training": (
        lambda root: rename(root, "modeldir", "dir"),
        "has no column 'modeldir'",
    ),
    "texts as results": (lambda root: change(root, 1, "test_loss", "low"), "expected numbers in column test_loss"),
    "batch-norm": (
        lambda root: damage_layout(root, 3, "conv2d_1/bias:0", "batch_normalization/gamma:0"),
        "found sequential/batch_normalization/gamma:0 (5,): networks with other variables cannot be imported",
    ),
    "another kernel": (
        lambda root: damage_layout(root, 2, "(3, 3, 1, 4)", "(5, 5, 1, 4)"),
        "sequential/conv2d/kernel:0 (5, 5, 1, 4) takes 100 numbers, and lies in 4..40",
    ),
    "other channels": (
        lambda root: damage_layout(root, 4, "(3, 3, 4, 5)", "(3, 3, 2, 10)"), "are not of one layer",
    ),
    "other inputs": (
        lambda root: damage_layout(root, 4, "(3, 3, 4, 5)", "(3, 2, 6, 5)"),
        "sequential/conv2d_1/kernel:0 (3, 2, 6, 5) does not follow sequential/conv2d/kernel:0 (3, 3, 1, 4)",
    ),
    "a gap": (
        lambda root: [damage_layout(root, 1, "0,4", "1,5")], "begins at 1, where 0 was expected",
    ),
    "no shape": (lambda root: damage_layout(root, 1, "(4,)", "four"), "found '0', '4' and 'four'"),
    "no bias": (
        lambda root: damage_layout(root, 1, "conv2d/bias", "other/bias"), "sequential/other has no kernel",
    ),
    "two biases": (
        lambda root: damage_layout(root, 1, "conv2d/bias", "conv2d_1/bias"), "conv2d_1 has two variables bias",
    ),
    "other columns": (
        lambda root: damage_layout(root, 0, "varname", "name"),
        "no column varname: expected varname, start_idx, end_idx, shape, found name, start_idx",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, damage: str, refused: Callable[..., str]) -> None:
    write_small_cnns(tmp_path / "files")
    spoil, message = DAMAGES[damage]
    spoil(tmp_path / "files")
    assert message in refused(tmp_path / "files", *RELU)


def test_a_file_is_no_folder(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "weights.npy").write_text("")
    assert "expected a folder with weights.npy" in refused(tmp_path / "weights.npy")


def test_an_activation_that_zoos_do_not_have(tmp_path: Path, refused: Callable[..., str]) -> None:
    write_small_cnns(tmp_path / "files", trainings=1)
    for row in range(3):
        change(tmp_path / "files", row, "config.activation", "maxout")
    assert "metrics.csv.gz: unknown activation 'maxout': Known: " in refused(tmp_path / "files")


@pytest.mark.parametrize("where", ["activation=relu", {1: "relu"}])
def test_python_gives_values_by_column(tmp_path: Path, where: Any) -> None:
    write_small_cnns(tmp_path / "files", trainings=1)
    with pytest.raises(ConfigError, match="where: expected values by column, as {'activation': 'relu'}, found"):
        import_zoo(tmp_path / "files", tmp_path / "z", format="small-cnn-zoo", where=where)
