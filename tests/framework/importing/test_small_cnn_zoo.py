"""Importing the Small CNN Zoo as it is published."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cnn_files import STEPS, change, keras_variables, layout_rows, small_cnn, table, write_csv, write_small_cnns
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.fitting.verify import verify
from weightspace.importing import import_zoo
from weightspace.importing.row_layout import read_layout
from weightspace.layers import Convolution, Flattened
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo

FORMAT = ["--format", "small-cnn-zoo"]
RELU = ["--where", "activation=relu"]


def imported(root: Path, *options: str) -> Zoo:
    out = root.with_name("zoo")
    assert main(["zoo", "import", str(root), *FORMAT, *options, "--out", str(out)]) == 0
    return Zoo(out)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_networks_compute_what_they_did(tmp_path: Path, activation: str) -> None:
    networks = write_small_cnns(tmp_path / "files")
    zoo = imported(tmp_path / "files", "--where", f"activation={activation}", "--val", "1", "--test", "1")
    assert zoo.spec == NetworkSpec((1, 4, 5, 3), activation, kernels=(Convolution(3, 2), Convolution(3, 2), None))
    images = torch.rand(3, 1, 28, 28)
    outputs = evaluate(zoo.batch(torch.arange(len(zoo))), images)
    trainings = [0, 2, 4] if activation == "relu" else [1, 3, 5]
    for row, (item, view) in enumerate(zip(zoo.objects.tolist(), zoo.views.tolist(), strict=True)):
        network = networks[len(STEPS) * trainings[item] + len(STEPS) - 1 - view]
        torch.testing.assert_close(outputs[row], network(images), rtol=0, atol=1e-5)
    assert any("PSNR not checked" in line for line in verify(zoo, sample=5))


def test_objects_are_trainings_and_views_are_checkpoints_from_the_last(tmp_path: Path) -> None:
    write_small_cnns(tmp_path / "files")
    zoo = imported(tmp_path / "files", *RELU, "--val", "1", "--test", "1")
    assert sorted(zip(zoo.objects.tolist(), zoo.views.tolist(), strict=True)) == [
        (o, v) for o in range(3) for v in range(3)
    ]
    assert zoo.splits.bincount().tolist() == [3, 3, 3]
    for item in range(3):
        assert len(zoo.splits[zoo.objects == item].unique()) == 1
    step = zoo.quality[:, zoo.header.quality.index("step")]
    assert torch.equal(step, torch.tensor(STEPS[::-1], dtype=torch.float32)[zoo.views])
    expected = 0.1 + 0.01 * 2 * zoo.objects + 0.001 * step
    torch.testing.assert_close(zoo.targets[:, 0], expected)
    assert zoo.header.target == {"kind": "value", "names": ["test accuracy"]}


def test_hyperparameters_are_columns_of_quality_with_codes(tmp_path: Path) -> None:
    write_small_cnns(tmp_path / "files")
    change(tmp_path / "files", 0, "train_loss", "")
    zoo = imported(tmp_path / "files", *RELU)
    assert zoo.header.quality == [
        "test accuracy", "train accuracy", "test loss", "train loss", "step", "dropout", "learning rate", "optimiser",
    ]  # fmt: skip
    said = zoo.header.provenance
    assert said["codes"] == {"optimiser": ["sgd", "adam", "rmsprop"]}, "as the source cnns numbers them"
    assert said["same"] == {"activation": "relu", "b init": "zeros", "dataset": "mnist", "fraction": "0.5"}
    assert said["selected"] == {"activation": "relu"}
    names = [said["codes"]["optimiser"][int(code)] for code in zoo.quality[:, -1]]
    assert names == [("adam", "sgd", "rmsprop")[item] for item in zoo.objects.tolist()], "trainings 0, 2 and 4"
    assert int(zoo.quality.isnan().sum()) == 1
    assert main(["zoo", "info", str(zoo.path)]) == 0


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (["config.activation=tanh", "step=86"], 3),
        (["activation=relu", "dropout=0.250"], 3),
        (["activation=relu", "step=86", "optimizer=sgd"], 1),
    ],
)
def test_rows_are_selected(tmp_path: Path, where: list[str], count: int) -> None:
    write_small_cnns(tmp_path / "files")
    assert len(imported(tmp_path / "files", "--where", where[0], "--where", *where[1:])) == count


def test_another_target(tmp_path: Path) -> None:
    write_small_cnns(tmp_path / "files")
    zoo = imported(tmp_path / "files", *RELU, "--target", "train_loss")
    assert zoo.header.target["names"] == ["train loss"]
    assert torch.equal(zoo.targets[:, 0], zoo.quality[:, 3])


def test_what_is_not_finite_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "files"
    write_small_cnns(root, activations=("relu",))
    weights = np.load(root / "weights.npy")
    weights[2, 7], weights[4, 0], weights[9] = np.nan, np.inf, weights[12]
    np.save(root / "weights.npy", weights)
    change(root, 3, "test_accuracy", "nan")
    change(root, 5, "step", "")
    change(root, 7, "step", 0)
    zoo = imported(root)
    assert {entry["path"]: entry["reason"] for entry in zoo.header.left_out} == {
        "row 2": "weights that are not finite",
        "row 4": "weights that are not finite",
        "row 3": "its label should be a finite number, found 'nan'",
        "row 5": "no step",
        "row 7": "duplicate: the same training and step as row 6",
        "row 12": "duplicate: the same weights as object 3, view 2",
    }
    assert len(zoo) == 12
    assert "left out" in capsys.readouterr().out


def test_nothing_left_leaves_nothing(tmp_path: Path, refused: Callable[..., str]) -> None:
    write_small_cnns(tmp_path / "files")
    np.save(tmp_path / "files" / "weights.npy", np.full_like(np.load(tmp_path / "files" / "weights.npy"), np.nan))
    assert "no network is left" in refused(tmp_path / "files", *RELU)


def test_other_strides_and_padding_come_from_a_spec(tmp_path: Path, refused: Callable[..., str]) -> None:
    root = tmp_path / "files"
    networks = write_small_cnns(root, trainings=1, padding=1)
    padded = (Convolution(3, 2, 1), Convolution(3, 2, 1), None)
    (tmp_path / "arch.json").write_text(json.dumps(NetworkSpec((1, 4, 5, 3), "relu", kernels=padded).to_json()))
    zoo = imported(root, "--spec", str(tmp_path / "arch.json"))
    images = torch.rand(2, 1, 14, 14)
    torch.testing.assert_close(evaluate(zoo.batch(torch.tensor([0])), images)[0], networks[-1](images))
    (root / "spec.json").write_text(json.dumps(NetworkSpec((1, 4, 6, 3), "relu", kernels=padded).to_json()))
    assert "sequential/conv2d_1/kernel:0 (3, 3, 4, 5) does not fit 1-4-6-3 relu" in refused(root)
    (root / "spec.json").write_text(json.dumps(NetworkSpec((1, 4, 5, 3), "tanh", kernels=padded).to_json()))
    assert "says that the activation is tanh, the networks have relu" in refused(root)


def test_a_map_that_keras_flattens(tmp_path: Path, refused: Callable[..., str]) -> None:
    """Keras flattens (height, width, channels), torch (channels, height, width)."""
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(60, 4))
    spec = NetworkSpec((2, 3, 4), "relu", kernels=(Convolution(3), Flattened((4, 5))))
    weight = module[3].weight.detach().reshape(4, 3, 4, 5).permute(2, 3, 1, 0).reshape(60, 4).numpy()
    variables = [*keras_variables(module)[:3], ("sequential/dense/kernel:0", weight)]
    write_csv(tmp_path / "layout.csv", [["varname", "start_idx", "end_idx", "shape"], *layout_rows(variables)])
    layout = read_layout(tmp_path / "layout.csv")
    row = torch.from_numpy(np.concatenate([array.ravel() for _, array in variables])[layout.order(spec)])
    assert torch.equal(row, spec.pack(module.state_dict()))
    images = torch.rand(2, 2, 6, 7)
    torch.testing.assert_close(evaluate(WeightBatch(row[None], spec), images)[0], module(images))
    write_small_cnns(tmp_path / "files")
    np.save(tmp_path / "files" / "weights.npy", np.zeros((18, len(row)), np.float32))
    (tmp_path / "layout.csv").replace(tmp_path / "files" / "layout.csv")
    assert "give spec, a JSON file with its size" in refused(tmp_path / "files", *RELU)


def test_mixed_activations_are_refused_with_their_counts(tmp_path: Path, refused: Callable[..., str]) -> None:
    write_small_cnns(tmp_path / "files", activations=("relu", "relu", "tanh"))
    found = refused(tmp_path / "files")
    assert "the 18 that are selected have several: 12 relu, 6 tanh; choose one by where activation=relu" in found


def test_other_formats_have_no_table_to_select_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["zoo", "import", str(tmp_path), "--format", "folder", *RELU, "--out", str(tmp_path / "z")]
    assert main(command) == 2
    assert "where: an option of small-cnn-zoo, not of folder, which has no table of hyperparameters" in " ".join(
        capsys.readouterr().err.split()
    )


def test_the_same_import_again_and_another(tmp_path: Path, refused: Callable[..., str], capsys) -> None:
    root = tmp_path / "files"
    write_small_cnns(root)
    first = imported(root, *RELU)
    assert len(imported(root, *RELU)) == len(first)
    assert "finished already" in capsys.readouterr().out
    change(root, 0, "config.dropout", 0.75)  # what is not a target decides the bytes, too
    assert main(["zoo", "import", str(root), *FORMAT, *RELU, "--out", str(first.path)]) == 2
    assert "another job" in capsys.readouterr().err


def test_python_and_float64_and_a_plain_table(tmp_path: Path) -> None:
    root = tmp_path / "files"
    write_small_cnns(root)
    write_csv(root / "metrics.csv", table(root))
    (root / "metrics.csv.gz").unlink()
    np.save(root / "weights.npy", np.asfortranarray(np.load(root / "weights.npy").astype(">f8")))
    zoo = import_zoo(root, tmp_path / "z", format="small-cnn-zoo", where={"activation": "relu", "step": 86}, val=1)
    networks = {small_cnn(100 * training + 86).state_dict()["0.weight"].numpy().tobytes() for training in (0, 2, 4)}
    assert {row[:36].numpy().tobytes() for row in zoo.params(torch.arange(3))} == networks


def test_the_matrix_is_never_whole_in_memory(tmp_path: Path) -> None:
    """Wide networks without convolutions, whose matrix takes 4 GB, of which the file system stores nothing."""
    variables = [
        (f"dense_{layer}/{kind}:0", np.empty(shape, bool))
        for layer, sides in enumerate(((250_000, 4), (4, 3)))
        for kind, shape in (("kernel", sides), ("bias", sides[1:]))
    ]
    layout = layout_rows(variables)
    write_csv(tmp_path / "layout.csv", [["varname", "start_idx", "end_idx", "shape"], *layout])
    shape = (1000, layout[-1][2])
    with (tmp_path / "weights.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * shape[0] * shape[1])
    header = ["config.activation", "modeldir", "step", "test_accuracy"]
    table = [["tanh" if row % 500 else "relu", row, 86, row / 1000] for row in range(1000)]
    write_csv(tmp_path / "metrics.csv", [header, *table])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    zoo = import_zoo(tmp_path, tmp_path / "z", format="small-cnn-zoo", where={"activation": "relu"})
    assert zoo.spec == NetworkSpec((250_000, 4, 3), "relu")
    assert (len(zoo), len(zoo.header.left_out)) == (1, 1), "the other one is the same"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "kB"
