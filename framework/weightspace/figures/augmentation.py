"""Pictures of networks before and after augmentation."""

from __future__ import annotations

from matplotlib.figure import Figure

from weightspace.augment import Augmentation, AugmentationChain
from weightspace.batch import WeightBatch, soft_targets
from weightspace.figures.images import as_images, image_grid
from weightspace.network import decode, grid
from weightspace.text import shown


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
    side: int = 28,
    seed: int = 0,
) -> Figure:
    """Draws decoded 2-D networks before an augmentation and after each of several draws.

    Captions show mixed targets. If the function is preserved, they also show the largest difference of a pixel, and the
    weights of the second layer are drawn before and after the first draw, since the pictures themselves do not change.
    """
    chain = AugmentationChain([augmentation], seed)
    after = {f"draw {draw + 1}": chain(batch, draw=draw) for draw in range(draws)}
    coordinates, shape = grid(side, side), (side, side, batch.spec.out_dim)
    decoded = {name: decode(moved, coordinates, value_range) for name, moved in {"before": batch, **after}.items()}
    rows = {name: as_images(values, shape) for name, values in decoded.items()}
    captions = {"before": _target_captions(batch, class_names)}
    for name, moved in after.items():
        difference = (decoded[name] - decoded["before"]).abs().amax((1, 2))
        same = (
            [f"+-{d:.0e}" if d else "same" for d in difference.tolist()] if augmentation.exact == "function" else None
        )
        captions[name] = _target_captions(moved, class_names) if augmentation.uses_labels else same or [""] * len(batch)
    if augmentation.exact == "function" and not augmentation.uses_labels:
        largest = batch.weights[1].abs().amax((1, 2), keepdim=True)
        for name, moved in {"before": batch, "draw 1": after["draw 1"]}.items():
            rows[f"W2 {name}"] = (moved.weights[1] / largest + 1) / 2
    return image_grid(rows, captions)


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
