"""Which zoos can be mixed: those whose networks differ in the widths of their hidden layers alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import torch
from torch import Tensor

from weightspace.data.targets import Target
from weightspace.errors import ConfigError
from weightspace.zoo import Zoo
from weightspace.zoo.architectures import differences
from weightspace.zoo.header import SPLITS

#: Splits that may share objects; no object is in two of these groups.
GROUPS = {"training": ("train", "internal"), "validation": ("val",), "test": ("test",)}


def check_mixable(zoos: Sequence[Zoo]) -> None:
    """Checks that a model can learn from all of some zoos.

    Raises:
        ConfigError: a zoo is given twice; two differ in more than the widths of hidden layers; or an object that is for
            training in one is for validation or test in another.
    """
    for first, second in combinations(zoos, 2):
        if first.digest == second.digest:
            raise ConfigError(f"{first.path} and {second.path} are the same zoo: give each once")
    for other in zoos[1:]:
        check_alike(zoos[0], other)
    for first, second in combinations(zoos, 2):
        for group, another in permutations(GROUPS, 2):
            check_apart(first, second, group, another)


def check_tested(trained: Sequence[Zoo], tested: Sequence[Zoo]) -> None:
    """Checks that a model that learns from some zoos can be tested on others, fairly.

    Raises:
        ConfigError: two differ in more than the widths of hidden layers, or an object that is tested was seen.
    """
    known = {zoo.digest for zoo in trained}
    for other in tested:
        if other.digest in known:
            continue
        check_alike(trained[0], other)
        for zoo in trained:
            check_apart(zoo, other, "training", "test")
            check_apart(zoo, other, "validation", "test")


def check_alike(first: Zoo, second: Zoo) -> None:
    """Raises ConfigError, with what differs, if one model cannot be for the networks of both zoos."""
    found = differences(first.spec, second.spec)
    targets = [Target.from_json(zoo.header.target) for zoo in (first, second)]
    if targets[0] != targets[1]:
        found.append(f"targets {targets[0]} and {targets[1]}")
    if first.value_range != second.value_range:
        found.append(f"value ranges {first.value_range} and {second.value_range}")
    if found:
        raise ConfigError(
            f"{first.path} and {second.path} cannot be used together: they differ in {'; '.join(found)}. Only the "
            "widths of hidden layers (or channels) may differ"
        )


def check_apart(first: Zoo, second: Zoo, one: str, other: str) -> None:
    """Checks that no object of one source is in one of ``GROUPS`` in one zoo, and in another of these in another zoo.

    Args:
        first, second: the zoos; numbers of objects mean the same only if both say the same source.
        one, other: groups in the first, and in the second.

    Raises:
        ConfigError: there is such an object.
    """
    sources = [zoo.header.provenance.get("source", {}) for zoo in (first, second)]
    if "digest" not in sources[0] or any(sources[0].get(key) != sources[1].get(key) for key in ("name", "digest")):
        return
    here = _objects(first, GROUPS[one])
    shared = here[torch.isin(here, _objects(second, GROUPS[other]))]
    if len(shared):
        raise ConfigError(
            f"{len(shared)} objects, such as {int(shared[0])}, are for {one} in {first.path}, and for {other} in "
            f"{second.path}: fit both with the same --train, --val, --test and --seed"
        )


def _objects(zoo: Zoo, splits: Sequence[str]) -> Tensor:
    chosen = torch.isin(zoo.splits, torch.tensor([SPLITS.index(split) for split in splits], dtype=zoo.splits.dtype))
    return zoo.objects[chosen].unique()
