"""How a zoo was made: what changes its digest, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, write_zoo
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.making import making_of


def with_bits(header: ZooHeader) -> ZooHeader:
    """The header of the same job on another machine: the weights have other last bits."""
    return replace(header, shards=[replace(shard, sha256="0" * 64) for shard in header.shards])


def saying(header: ZooHeader, **said: Any) -> ZooHeader:
    return replace(header, provenance={**header.provenance, **said})


def test_other_bits_and_versions_are_the_same_making(zoo: Zoo) -> None:
    elsewhere = saying(with_bits(zoo.header), versions={"torch": "9"}, mode="eager", device="cuda")
    elsewhere = saying(elsewhere, source_arguments={"path": "/elsewhere"})
    assert elsewhere.to_text() != zoo.header.to_text()
    assert making_of(elsewhere) == making_of(zoo.header)


@pytest.mark.parametrize(
    ("part", "change"),
    [("plan", {"seed": 7}), ("plan", {"train": 61}), ("recipe", {"steps": 61}), ("source", {"digest": "another"})],
)
def test_another_job_is_another_making(zoo: Zoo, part: str, change: dict[str, Any]) -> None:
    other = saying(zoo.header, **{part: {**zoo.header.provenance[part], **change}})
    assert making_of(other) != making_of(zoo.header)


def test_a_zoo_without_networks_that_were_damaged_is_another(zoo: Zoo) -> None:
    shard = {"shard": "00000.safetensors"}
    assert making_of(saying(zoo.header, repairs=[{**shard, "dropped": 3}])) != making_of(zoo.header)
    assert making_of(saying(zoo.header, repairs=[{**shard, "versions": {}}])) == making_of(zoo.header)


def test_networks_that_are_given_are_their_own_making(tmp_path) -> None:
    spec = NetworkSpec((2, 3, 1), "tanh")
    params = torch.randn(4, spec.num_params, generator=torch.Generator().manual_seed(0))
    header = write_zoo(tmp_path / "a", params, spec, targets=[0, 1, 0, 1]).header
    assert making_of(write_zoo(tmp_path / "b", params, spec, targets=[0, 1, 0, 1]).header) == making_of(header)
    assert making_of(write_zoo(tmp_path / "c", params + 1e-6, spec, targets=[0, 1, 0, 1]).header) != making_of(header)
    assert making_of(saying(header, versions={"torch": "9"}, import_path="/elsewhere")) == making_of(header)
