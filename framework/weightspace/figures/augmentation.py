"""Pictures of networks before and after augmentation."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from weightspace.augment import Augmentation, AugmentationChain
from weightspace.batch import WeightBatch, soft_targets
from weightspace.figures.images import as_images, image_grid
from weightspace.figures.solids import RESOLUTION, decoded_volumes, solid_grid, surface
from weightspace.network import decode, grid
from weightspace.text import shown

#: Pixels per side of an image, if none are asked for.
PIXELS = 28


def chain_figure(
    before: WeightBatch,
    after: WeightBatch,
    side: int,
    value_range: tuple[float, float],
    class_names: list[str] | None = None,
) -> Figure:
    """Draws the decoded 2-D networks of a batch before and after the augmentation chain, with side x side pixels and
    their classes, also mixed ones.
    """
    coordinates = grid(side, side)
    shape = (side, side, before.spec.out_dim)
    return image_grid(
        {
            "before": as_images(decode(before.to("cpu"), coordinates, value_range), shape),
            "after": as_images(decode(after.to("cpu"), coordinates, value_range), shape),
        },
        {"before": _target_captions(before, class_names), "after": _target_captions(after, class_names)},
    )


def augmentation_figure(
    augmentation: Augmentation,
    batch: WeightBatch,
    class_names: list[str] | None,
    value_range: tuple[float, float],
    draws: int = 3,
    side: int | None = None,
    seed: int = 0,
) -> Figure:
    """Draws decoded networks before an augmentation and after each of several draws: images, or surfaces of solids.

    Captions show mixed targets. If the function is preserved, they also show the largest difference of a value, and the
    weights of the second layer are drawn before and after the first draw, since the pictures themselves do not change.

    Args:
        augmentation: is valid for the networks.
        batch: networks of two or three coordinates.
        class_names: of the targets; None: they are numbers.
        value_range: see ``Zoo.value_range``.
        draws: number of rows after the augmentation.
        side: pixels per side of an image, or grid points per side of a solid; None: 28, or 48.
        seed: of the draws.

    Raises:
        MissingExtraError: scikit-image is not installed, which finds the surfaces of solids.
    """
    chain = AugmentationChain([augmentation], seed)
    rows = {"before": batch, **{f"draw {draw + 1}": chain(batch, draw=draw) for draw in range(draws)}}
    solid = batch.spec.coordinates == 3
    decoded = {
        name: _decoded(moved, value_range, side or (RESOLUTION if solid else PIXELS)) for name, moved in rows.items()
    }
    captions, weights = {}, {}
    for name, moved in rows.items():
        if name == "before" or augmentation.uses_labels:
            captions[name] = _target_captions(moved, class_names)
        elif augmentation.exact == "function":
            captions[name] = _differences(decoded[name], decoded["before"])
        else:
            captions[name] = [""] * len(batch)
    if augmentation.exact == "function" and not augmentation.uses_labels:
        largest = batch.weights[1].abs().amax((1, 2), keepdim=True)
        for name in ("before", "draw 1"):
            weights[f"W2 {name}"] = (rows[name].weights[1] / largest + 1) / 2
    if solid:
        surfaces = {name: [surface(volume) for volume in volumes] for name, volumes in decoded.items()}
        return solid_grid(surfaces, captions, weights, boxed=True)
    return image_grid({**decoded, **weights}, captions)


def _decoded(batch: WeightBatch, value_range: tuple[float, float], side: int) -> Tensor:
    """Volumes (B, side, side, side), or images (B, side, side) or (B, side, side, 3)."""
    if batch.spec.coordinates == 3:
        return decoded_volumes(batch, value_range, side)
    return as_images(decode(batch, grid(side, side), value_range), (side, side, batch.spec.out_dim))


def _differences(after: Tensor, before: Tensor) -> list[str]:
    """The largest difference of a value of each network."""
    differences = (after - before).abs().flatten(1).amax(1)
    return [f"+-{difference:.0e}" if difference else "same" for difference in differences.tolist()]


def _target_captions(batch: WeightBatch, class_names: list[str] | None) -> list[str]:
    """The class of each network, or its two likeliest classes with their shares."""
    if batch.targets is None or class_names is None:
        return [""] * len(batch)
    captions = []
    for row in soft_targets(batch):
        share, which = row.topk(min(2, len(row)))
        named = [
            f"{s:.0%} {shown(class_names[k])}"
            for s, k in zip(share.tolist(), which.tolist(), strict=True)
            if s >= 0.005
        ]
        rest = row.sort(descending=True).values[1:]
        if len(rest) > 1 and rest[0] >= 0.005 and rest[0] - rest[-1] < 1e-6:
            named[1:] = [f"{float(rest[0]):.0%} each other"]
        captions.append(named[0].removeprefix("100% ") if share[0] > 0.995 else "\n".join(named))
    return captions
