"""Which networks of a zoo are alike?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightspace.backbones import Backbone, embed
from weightspace.checks import check_choice, check_whole, is_whole
from weightspace.errors import ConfigError, SpecError
from weightspace.progress import Display
from weightspace.studies.nearness import by_embedding, by_function, by_weights
from weightspace.zoo import Zoo
from weightspace.zoo.splits import evenly_spaced

WAYS = ("embedding", "weights", "function")


@dataclass(frozen=True, repr=False)
class Neighbours:
    """The nearest networks of some networks of a zoo, in several ways.

    Attributes:
        zoo: the zoo of all networks.
        queries: (q,) rows of the networks whose neighbours were looked for.
        among: (n,) rows of those among which they were.
        found: by way, (q, k) rows of the neighbours, the nearest first.
        distances: by way, (q, k) their distances.
    """

    zoo: Zoo
    queries: Tensor
    among: Tensor
    found: dict[str, Tensor]
    distances: dict[str, Tensor]

    def agreement(self) -> dict[str, float] | None:
        """By way, the share of neighbours that are of the class of their query; None if the zoo has no classes."""
        if self.zoo.class_names is None:
            return None
        own = self.zoo.targets[self.queries][:, None]
        return {way: float((self.zoo.targets[rows] == own).float().mean()) for way, rows in self.found.items()}

    def chance(self) -> float | None:
        """The share that random networks would have; None if the zoo has no classes."""
        if self.zoo.class_names is None:
            return None
        targets, own = self.zoo.targets[self.among], self.zoo.targets[self.queries]
        others = self.among != self.queries[:, None]  # no network is its own neighbour
        return float(((targets == own[:, None]) & others).sum() / others.sum())

    def __repr__(self) -> str:
        shares = self.agreement() or {}
        said = [f"{way}: {shares[way]:.0%} of its class" if shares else way for way in self.found]
        count = next(iter(self.found.values())).shape[1]
        return (
            f"Neighbours: the {count} nearest of {len(self.among):,} networks to each of {len(self.queries)}, by "
            f"{'; '.join(said)}"
        )


def neighbours(
    zoo: Zoo,
    encoder: Backbone | None = None,
    *,
    queries: int | Sequence[int] | Tensor = 8,
    split: str = "test",
    among: str = "train",
    by: Sequence[str] | None = None,
    count: int = 5,
    limit: int = 2_000,
    group: str = "auto",
    display: Display | None = None,
) -> Neighbours:
    """Finds the nearest networks by embedding (cosine), by weights after alignment, and by function (root mean square).

    A network is not its own neighbour; other views of its object may be.

    Args:
        zoo: the zoo.
        encoder: embeds the networks; None: neighbours by embedding are not looked for.
        queries: how many networks, evenly spaced in ``split``, or rows of the zoo.
        split: of the queries, where these are a number: "train", "val", "test" or "internal".
        among: split of the networks among which neighbours are looked for, the first view of each object.
        by: some of "embedding", "weights" and "function"; None: all, embedding if there is an encoder, function unless
            the networks read images.
        count: neighbours of each query, >= 1.
        limit: most networks among which they are looked for, evenly spaced: each is aligned with each query.
        group: symmetries that are removed before weights are compared, see ``align``.
        display: where progress is shown; None: nowhere.

    Raises:
        ConfigError: a value is out of range, there are too few networks, or embeddings are asked for and there is no
            encoder.
        SpecError: the encoder is for other networks, or has no such group.
        ZooError: there is no such split.
        IndexError: there is no such row.
    """
    ways = _ways(by, encoder, zoo)
    check_whole("count", count, low=1)
    check_whole("limit", limit, low=1)
    if encoder is not None and not encoder.reads(zoo.spec):
        raise SpecError(f"the encoder is for networks {encoder.spec}, the zoo has {zoo.spec}")
    rows, others = _queries(zoo, queries, split), _spaced(zoo.rows(among, first_view_only=True), limit)
    same = rows[:, None] == others
    if not len(rows) or len(others) - int(same.sum(1).max()) < count:
        raise ConfigError(
            f"{zoo.path} has {len(rows)} networks to look for and {len(others)} among which to look (split {among}): "
            f"for {count} neighbours there must be more"
        )
    first, second = zoo.batch(rows), zoo.batch(others)
    measures: dict[str, Callable[[], Tensor]] = {
        "embedding": lambda: by_embedding(*(embed(_given(encoder), batch) for batch in (first, second))),
        "function": lambda: by_function(first, second),
    }
    found, distances = {}, {}
    for way in ways:
        if way == "weights":
            with (display or Display(show=False)).bar("aligning", "pairs") as report:
                measured = by_weights(first, second, group, report)
        else:
            measured = measures[way]()
        distances[way], nearest = measured.masked_fill(same, torch.inf).topk(count, largest=False)
        found[way] = others[nearest]
    return Neighbours(zoo, rows, others, found, distances)


def _ways(by: Sequence[str] | None, encoder: Backbone | None, zoo: Zoo) -> list[str]:
    reads_images = bool(zoo.spec.kernels)
    if by is None:
        left_out = {"embedding": encoder is None, "function": reads_images}
        return [way for way in WAYS if not left_out.get(way)]
    if isinstance(by, str) or not by:
        raise ConfigError(f"by must be a list of some of {', '.join(WAYS)}, found {by!r}")
    for way in by:
        check_choice("by", way, WAYS)
    if "embedding" in by and encoder is None:
        raise ConfigError("neighbours by embedding need an encoder, for instance load_backbone('encoder.safetensors')")
    if "function" in by and reads_images:
        raise ConfigError(f"functions are compared at points, and these networks read images: {zoo.spec}; leave it out")
    return list(by)


def _given(encoder: Backbone | None) -> Backbone:
    assert encoder is not None
    return encoder


def _queries(zoo: Zoo, queries: int | Sequence[int] | Tensor, split: str) -> Tensor:
    if is_whole(queries):
        return _spaced(zoo.rows(split, first_view_only=True), check_whole("queries", queries, low=1))
    given = torch.as_tensor(queries).reshape(-1)
    if len(given) and (given.dtype == torch.bool or given.is_floating_point()):
        raise ConfigError(f"queries must be a number of networks, or rows of the zoo, found {queries!r:.60}")
    rows = given.long()
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(zoo):
        raise IndexError(f"{zoo.path} has rows 0..{len(zoo) - 1}, asked for {int(rows.min())}..{int(rows.max())}")
    return rows


def _spaced(rows: Tensor, limit: int) -> Tensor:
    return rows[evenly_spaced(len(rows), limit)] if len(rows) else rows
