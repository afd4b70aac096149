"""Small CNNs of torch, written as the Small CNN Zoo is published: weights.npy, metrics.csv.gz and layout.csv."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

#: Epochs of the checkpoints, in the order of the rows.
STEPS = (0, 3, 86)
OPTIMISERS = ("adam", "rmsprop", "sgd")


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def small_cnn(seed: int, activation: str = "relu", padding: int = 0, channels: int = 1) -> nn.Sequential:
    """Two 3 x 3 convolutions with 4 and 5 channels and stride 2, the mean over the last map, and a linear layer."""
    torch.manual_seed(seed)
    hidden = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 2, padding), hidden(), nn.Conv2d(4, 5, 3, 2, padding), hidden(), Mean(),
        nn.Linear(5, 3),
    )  # fmt: skip


def keras_variables(module: nn.Sequential) -> list[tuple[str, np.ndarray]]:
    """Variables as Keras names and orders them, the bias of each layer first."""
    found, counts = [], {"conv2d": 0, "dense": 0}
    for layer in module:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            kind = "conv2d" if isinstance(layer, nn.Conv2d) else "dense"
            name = f"sequential/{kind}{f'_{counts[kind]}' if counts[kind] else ''}"
            counts[kind] += 1
            weight = layer.weight.detach().numpy()
            found.append((f"{name}/bias:0", layer.bias.detach().numpy()))
            found.append((f"{name}/kernel:0", weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T))
    return found


def layout_rows(variables: list[tuple[str, np.ndarray]]) -> list[list[Any]]:
    rows, begin = [], 0
    for name, array in variables:
        rows.append([name, begin, begin + array.size, str(array.shape)])
        begin += array.size
    return rows


def metrics_row(training: int, step: int, activation: str) -> dict[str, Any]:
    """Hyperparameters and results, as if they had been measured."""
    accuracy = 0.1 + 0.01 * training + 0.001 * step
    return {
        "config.activation": activation, "config.b_init": "zeros", "config.dataset": "mnist",
        "config.dropout": 0.25 * (training % 3), "config.learning_rate": 0.001 * (training + 1),
        "config.optimizer": OPTIMISERS[training % 3], "config.train_fraction": 0.5,
        "modeldir": f"/somewhere/xid/{training}", "step": step, "test_accuracy": accuracy, "test_loss": 2 - accuracy,
        "train_accuracy": accuracy + 0.05, "train_loss": 1.9 - accuracy,
    }  # fmt: skip


def write_csv(path: Path, rows: list[list[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_small_cnns(
    root: Path, trainings: int = 6, activations: tuple[str, ...] = ("relu", "tanh"), padding: int = 0
) -> list[nn.Sequential]:
    """Writes a folder; training i has the i-th activation, cyclically. Gives the networks, one for each row.

    The first column of the table has no name, as the index that pandas writes.
    """
    root.mkdir(parents=True, exist_ok=True)
    networks, table = [], []
    for training in range(trainings):
        activation = activations[training % len(activations)]
        for step in STEPS:
            networks.append(small_cnn(100 * training + step, activation, padding))
            table.append(metrics_row(training, step, activation))
    rows = [np.concatenate([array.ravel() for _, array in keras_variables(network)]) for network in networks]
    np.save(root / "weights.npy", np.stack(rows))
    write_csv(
        root / "layout.csv", [["varname", "start_idx", "end_idx", "shape"], *layout_rows(keras_variables(networks[0]))]
    )
    header = ["", *table[0]]
    write_csv(root / "metrics.csv.gz", [header, *([number, *row.values()] for number, row in enumerate(table))])
    return networks


def table(root: Path) -> list[list[str]]:
    """The rows of the table, its header first."""
    return list(csv.reader(gzip.decompress((root / "metrics.csv.gz").read_bytes()).decode().splitlines()))


def change(root: Path, row: int, column: str, value: object) -> None:
    """Changes an entry of the table."""
    rows = table(root)
    rows[row + 1][rows[0].index(column)] = str(value)
    write_csv(root / "metrics.csv.gz", rows)
