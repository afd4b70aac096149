"""How a zoo was made: what stays the same when it is made again with other versions or on another machine."""

from __future__ import annotations

from weightspace.zoo.header import ZooHeader, digest

#: What of a provenance decides the networks, but for their last bits.
DECIDES = ("source", "recipe", "plan")


def making_of(header: ZooHeader) -> str:
    """Digest of how a zoo was made: source, recipe, plan, architecture, and what a repair has dropped.

    Fits are floating point: the same making on another machine gives other last bits, and so other checksums, but the
    same digest here. A zoo that does not say how its networks were made, as imported ones, has that of its networks.

    Args:
        header: of the zoo.

    Returns:
        16 hexadecimal digits.
    """
    made = header.provenance
    said = {"spec": header.spec.to_json(), "target": header.target}
    if all(key in made for key in DECIDES):
        dropped = [note["shard"] for note in made.get("repairs", []) if "dropped" in note]
        return digest({**said, **{key: made[key] for key in DECIDES}, "dropped": dropped})[:16]
    return digest({**said, "shards": [shard.sha256 for shard in header.shards]})[:16]
