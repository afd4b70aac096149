"""Converting the labels of imported networks to targets: class numbers, or real numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from weightspace.errors import ZooError
from weightspace.files.names import in_order
from weightspace.importing.listing import Contents, Entry

#: Upper limit of class numbers stored in files; larger ones are taken for something else.
MOST_CLASSES = 1_000_000


class Labels:
    """Converts the labels of networks to targets.

    Args:
        kind: "class", or "value" for numbers, which are separated by spaces in a label.
        names: names of all classes in their order, or of the numbers; empty: the classes are the labels in natural
            order, and the numbers are named label.
        entries: the networks to import.

    Attributes:
        names: names of the classes or numbers; empty if the files contain class numbers.
        in_files: whether some labels are stored in the networks' files.

    Raises:
        ZooError: a label is none of the given names.
    """

    def __init__(self, kind: str, names: Sequence[str], entries: Collection[Entry]) -> None:
        labels = {entry.label for entry in entries}
        self.kind, self.in_files = kind, None in labels
        texts = [label for label in labels if label is not None]
        if kind == "value":
            count = 1 if names or not texts else _columns(entry.label for entry in entries if entry.label is not None)
            default = ["label"] if count == 1 else [f"label_{column}" for column in range(1, count + 1)]
            self.names = list(names) or default
        else:
            self.names = list(names) or ([] if self.in_files else list(in_order(map(str, texts))))
        # entries of a table have been stripped of surrounding spaces
        self._numbers = {name.strip(): number for number, name in enumerate(self.names)}
        self._numbers |= {name: number for number, name in enumerate(self.names)}
        unknown = in_order(text for text in map(str, texts) if text not in self._numbers)
        if kind == "class" and names and unknown:
            raise ZooError(
                f"the labels {', '.join(unknown[:10])} are none of the classes that target.json names "
                f"({', '.join(self.names[:10])}): add them there, or give target class to number all labels anew"
            )

    def target(self, entry: Entry, contents: Contents) -> list[float]:
        """The target of one network.

        Raises:
            ValueError: the label is missing or not valid.
        """
        label: Any = contents.label if entry.label is None else entry.label
        if isinstance(label, Tensor):
            label = label.item() if label.numel() == 1 else label.tolist()
        if label is None:
            raise ValueError("no label, neither in a list nor in the file")
        if self.kind == "value":
            return self._values(label)
        if entry.label is not None and not (self.in_files and not self.names):
            return [self._numbers[str(label)]]
        least_too_many = len(self.names) or MOST_CLASSES
        if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < least_too_many:
            raise ValueError(f"its label should be a class's number, found {str(label)[:50]!r}")
        return [label]

    def tensor(self, targets: list[list[float]]) -> Tensor:
        """Combines targets into a tensor: (n,) int64 classes or (n, T) float32."""
        if self.kind == "class":
            return torch.tensor(targets, dtype=torch.int64).reshape(-1)
        return torch.tensor(targets, dtype=torch.float32).reshape(-1, len(self.names))

    def _values(self, label: Any) -> list[float]:
        parts = label.split() if isinstance(label, str) else label if isinstance(label, list) else [label]
        try:
            numbers = [float(part) for part in parts]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != len(self.names) or not all(map(math.isfinite, numbers)):
            expected = "a finite number" if len(self.names) == 1 else f"{len(self.names)} finite numbers"
            raise ValueError(f"its label should be {expected}, found {str(label)[:50]!r}")
        return numbers


def _columns(labels: Iterable[Any]) -> int:
    """The number of numbers that most labels have; of equally frequent ones the largest."""
    counts = Counter(max(1, len(str(label).split())) for label in labels)
    return max(counts, key=lambda columns: (counts[columns], columns))
