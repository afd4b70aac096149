"""The table of import formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from weightspace.importing.arrays import arrays
from weightspace.importing.files import dwsnets, folder, nfn
from weightspace.importing.listing import Listing
from weightspace.importing.small_cnn_zoo import small_cnn_zoo


@dataclass(frozen=True)
class Format:
    """An import format: how to list its networks, and properties of the networks that the files do not contain.

    Args:
        make: (root, **options) -> listing.
        activation: activation of the hidden layers; None: the user must give it.
        omega: frequency of sine layers.
        output_offset: constant added to the output.
        value_range: outputs of the networks for the values 0 and 1 of an object.
        exported: whether ``export_zoo`` writes this format, with a ``target.json``.
    """

    make: Callable[..., Listing]
    activation: str | None = None
    omega: float = 30.0
    output_offset: float = 0.0
    value_range: tuple[float, float] = (0.0, 1.0)
    exported: bool = False


FORMATS = {
    # Navon et al., arXiv 2301.12780, and the data of the paper: sin(30 (W x + b)), output + 0.5
    "dwsnets": Format(dwsnets, "sine", output_offset=0.5),
    # Zhou et al., arXiv 2302.14040: images scaled to [-1, 1]
    "nfn": Format(nfn, "sine", value_range=(-1.0, 1.0)),
    # Unterthiner et al., arXiv 2002.11448
    "small-cnn-zoo": Format(small_cnn_zoo),
    "folder": Format(folder, exported=True),
    "numpy": Format(arrays, exported=True),
}
