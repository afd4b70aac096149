"""What a network was trained on, as its file or checkpoint says, and the objects that it has seen by that."""

from __future__ import annotations

from typing import Any

import torch

from weightspace.data.folds import dealt_objects, folded
from weightspace.data.mixture import Mixture, Networks, zoos_of
from weightspace.errors import ConfigError
from weightspace.zoo import Zoo
from weightspace.zoo.making import making_of


def trained_on(zoo: Networks) -> dict[str, Any]:
    """What the file of a network says of its training, as JSON data: zoo, how that was made, and fold if it was one.

    Of several zoos, it is a list of what it says of each, as "zoos".
    """
    if isinstance(zoo, Mixture):
        return {"zoos": [trained_on(part) for part in zoo.zoos]}
    fold = {} if zoo.fold is None else {"fold": zoo.fold[0], "folds": zoo.fold[1], "objects": dealt_objects(zoo)}
    return {"zoo": zoo.digest, "making": making_of(zoo.header), **fold}


def trained_also(said: Any, more: dict[str, Any]) -> dict[str, Any]:
    """What is said of a network that was trained further: all zoos, each once.

    Args:
        said: what was said before, see ``trained_on``; None: nothing.
        more: the same of the further training.
    """
    if not isinstance(said, dict) or said == more:
        return more
    zoos: list[Any] = []
    for part in (said, more):
        zoos += [zoo for zoo in part.get("zoos", [part]) if zoo not in zoos]
    return zoos[0] if len(zoos) == 1 else {"zoos": zoos}


def as_trained(zoo: Zoo, said: Any) -> Zoo | None:
    """The zoo with the splits that a network was trained with; None: it was another zoo, or that is not known.

    A zoo that was made again in the same way is the same, although its networks have other last bits.

    Args:
        zoo: in any splits.
        said: what the network's file says, see ``trained_on``; None: it says nothing.

    Raises:
        ConfigError: the fold is none of this zoo, or the zoo was made in the same way and has other objects since.
    """
    if not isinstance(said, dict):
        return None
    if isinstance(said.get("zoos"), list):
        found = (as_trained(zoo, part) for part in said["zoos"])
        return next((known for known in found if known is not None), None)
    if said.get("zoo") != zoo.digest and said.get("making") != making_of(zoo.header):
        return None
    if said.get("objects", dealt := dealt_objects(zoo)) != dealt:
        raise ConfigError(
            f"{zoo.path} was made in the same way as the zoo of which fold {said['fold']} of {said['folds']} was "
            "trained on, but other networks were left out: with other objects, all folds are others. Train it on this"
        )
    return folded(zoo.divided_into(None), said.get("folds"), said.get("fold"))


def check_unseen(networks: Networks, said: Any, trained: str) -> None:
    """Checks that a network was not trained in other splits of a zoo, on objects that are tested in these.

    Args:
        networks: a zoo in the splits of a run, or several.
        said: what the network's file says, see ``trained_on``; if nothing, nothing is checked.
        trained: its name for messages, such as "the encoder runs/pretrain/encoder.safetensors".

    Raises:
        ConfigError: it was.
    """
    for zoo in zoos_of(networks):
        _check_zoo(zoo, said, trained)


def _check_zoo(zoo: Zoo, said: Any, trained: str) -> None:
    before = as_trained(zoo, said)
    if before is None or before.fold == zoo.fold:
        return
    seen = before.objects[torch.cat([before.rows(split) for split in ("train", "val", "internal")])].unique()
    tested = zoo.objects[zoo.rows("test")].unique()
    if both := int(torch.isin(tested, seen).sum()):
        raise ConfigError(
            f"{trained} was trained on {both} of the {len(tested)} objects that are tested here: "
            f"{_named(before)} of {zoo.path}, and here it is {_named(zoo)}. Train it with {_asked(zoo)}, or test it in "
            f"{_named(before)}"
        )


def _named(zoo: Zoo) -> str:
    return "the zoo's own splits" if zoo.fold is None else "fold {} of {}".format(*zoo.fold)


def _asked(zoo: Zoo) -> str:
    return "the zoo's own splits" if zoo.fold is None else "data.fold: {} and data.folds: {}".format(*zoo.fold)
