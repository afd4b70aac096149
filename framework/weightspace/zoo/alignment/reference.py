"""Choosing the network that the networks of a zoo are aligned to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weightspace.batch import WeightBatch
from weightspace.errors import ConfigError, ZooError
from weightspace.spec import NetworkSpec
from weightspace.zoo.header import digest
from weightspace.zoo.splits import evenly_spaced
from weightspace.zoo.store import Zoo

#: Networks from which an untrained one takes the sizes of its tensors.
SAMPLE = 4096
#: Objects that a message lists, unless they follow each other.
LISTED = 8
_NETWORK = re.compile(r"([0-9]{1,18})(?:/([0-9]{1,18}))?")


@dataclass(frozen=True)
class Reference:
    """The network that a zoo is aligned to; of a mean, the one that it starts from.

    Args:
        params: (1, P) float32.
        description: "to", "kind" and what decides the network, for ``alignment.json``.
        rounds: means that are computed from there.
    """

    params: Tensor
    description: dict[str, Any]
    rounds: int = 0


def choose_reference(zoo: Zoo, to: str | WeightBatch, rounds: int, seed: int) -> Reference:
    """Finds or draws the reference that a user asks for.

    Args:
        zoo: the zoo that is aligned.
        to: see ``align_zoo``.
        rounds, seed: of a mean; the seed also of an untrained network.

    Raises:
        ConfigError: ``to`` is none of these, or is a network of another architecture.
        ZooError: there is no such network or alignment, or no zoo.
    """
    if isinstance(to, WeightBatch):
        _check(to.spec, len(to), zoo.spec, "to")
        return Reference(to.params.float().cpu(), {"to": "a network", "kind": "given", "digest": _digest(to.params)})
    if not isinstance(to, str):
        raise ConfigError(f"to: expected {_FORMS}, or a WeightBatch of one network; found {type(to).__name__}")
    folder, colon, what = to.rpartition(":")
    if colon:
        return _of_another(zoo, Zoo(folder), what, to)
    if what == "untrained":
        return Reference(untrained(zoo, seed), {"to": to, "kind": what, "seed": seed})
    if what == "mean":
        rows = zoo.rows("train")
        if not len(rows):
            raise ConfigError(f"to mean: {zoo.path} has no training networks, of which the mean is")
        start = rows[torch.randint(len(rows), (1,), generator=torch.Generator().manual_seed(seed))]
        described = {"to": to, "kind": what, "seed": seed, "rounds": rounds, "start": _place(zoo, start)}
        return Reference(zoo.params(start), described, rounds)
    row = _row(zoo, what)
    if row is None:
        raise ConfigError(f"to: expected {_FORMS}; found {to!r:.200}")
    return Reference(zoo.params(row), {"to": to, "kind": "network", **_place(zoo, row)})


_FORMS = "mean, untrained, OBJECT or OBJECT/VIEW (numbers), or ZOO:OBJECT/VIEW or ZOO:ALIGNMENT of another zoo"


def _of_another(zoo: Zoo, other: Zoo, what: str, to: str) -> Reference:
    """A network of another zoo, or the reference of its stored alignment."""
    described = {"to": to, "digest": other.digest}
    row = _row(other, what)
    if row is not None:
        _check(other.spec, 1, zoo.spec, f"to {to}")
        return Reference(other.params(row), {**described, "kind": "network", **_place(other, row)})
    alignment = other.alignment(what)
    _check(other.spec, 1, zoo.spec, f"to {to}")
    described |= {"kind": "stored", "name": what, "digest": alignment.header.reference_sha256}
    return Reference(alignment.reference.params, described)


def untrained(zoo: Zoo, seed: int) -> Tensor:
    """(1, P) uniform parameters around 0, with the root mean square that each tensor has in the zoo's networks.

    Such a network is like an initial one whatever the initialisation of the networks was, which an imported zoo does
    not say.
    """
    rows = zoo.rows("train")
    rows = rows if len(rows) else torch.arange(len(zoo))
    params = zoo.params(rows[evenly_spaced(len(rows), SAMPLE)]).double()
    drawn = torch.empty(1, zoo.spec.num_params, dtype=torch.float64)
    drawn.uniform_(-(3**0.5), 3**0.5, generator=torch.Generator().manual_seed(seed))
    for part in zoo.spec.layout.tensor_slices:
        drawn[:, part] *= params[:, part].square().mean().sqrt()
    return drawn.float()


def _row(zoo: Zoo, what: str) -> Tensor | None:
    """(1,) row of the network OBJECT or OBJECT/VIEW (default: its lowest view); None if the text is something else."""
    match = _NETWORK.fullmatch(what)
    if match is None:
        return None
    item, view = int(match[1]), match[2]
    rows = (zoo.objects == item).nonzero().flatten()
    if view is not None:
        rows = rows[zoo.views[rows] == int(view)]
    if not len(rows):
        raise ZooError(_no_network(zoo, item, view))
    return rows[zoo.views[rows].argmin()].reshape(1)


def _no_network(zoo: Zoo, item: int, view: str | None) -> str:
    """The message that there is no such network, with those that there are."""
    asked = f"object {item}" + ("" if view is None else f", view {int(view)}")
    there = sorted(set(zoo.views[zoo.objects == item].tolist()))
    has = f"object {item} has {_numbers('views', there)}" if there else f"it has {_numbers('objects', _all(zoo))}"
    return f"{zoo.path} has no network of {asked}: numbers are those of objects and views (OBJECT/VIEW), and {has}"


def _all(zoo: Zoo) -> list[int]:
    found: list[int] = zoo.objects.unique().tolist()
    return found


def _numbers(what: str, found: list[int]) -> str:
    """As "objects 0 to 99", or "objects 3, 7, 8, 12, ... 40 (12 in all)"; sorted and none twice.

    >>> _numbers("objects", [3, 4, 5, 6]), _numbers("objects", [3, 7])
    ('objects 3 to 6', 'objects 3, 7')
    """
    if len(found) > 2 and found[-1] - found[0] == len(found) - 1:
        return f"{what} {found[0]} to {found[-1]}"
    first = ", ".join(map(str, found[:LISTED]))
    return f"{what} {first}" + (f", ... {found[-1]} ({len(found)} in all)" if len(found) > LISTED else "")


def _place(zoo: Zoo, row: Tensor) -> dict[str, int]:
    return {"object": int(zoo.objects[row]), "view": int(zoo.views[row])}


def _digest(params: Tensor) -> str:
    return digest({"params": params.flatten().tolist()})


def _check(found: NetworkSpec, count: int, spec: NetworkSpec, what: str) -> None:
    if found != spec or count != 1:
        raise ConfigError(f"{what}: expected one network {spec}, found {count} of {found}")
