"""The edits of images against loops over pixels, and what they leave as it is."""

from __future__ import annotations

import pytest
import torch
from weightspace.errors import ConfigError
from weightspace.tasks.edits import build_edit, edited
from weightspace_plugins.edits import blur, contrast, dilation, erosion, sharpen


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_dilation_and_erosion_are_the_extremes_of_a_square(images: torch.Tensor, size: int) -> None:
    reach = size // 2
    grown, shrunk = dilation(images, size), erosion(images, size)
    for row in range(6):
        for column in range(7):
            rows = slice(max(0, row - reach), row + reach + 1)
            square = images[:, :, rows, max(0, column - reach) : column + reach + 1]
            assert torch.equal(grown[:, :, row, column], square.amax((2, 3)))
            assert torch.equal(shrunk[:, :, row, column], square.amin((2, 3)))


def test_contrast_spreads_around_the_mean_of_all_channels(images: torch.Tensor) -> None:
    dim = 0.4 + 0.2 * images
    spread = contrast(dim, 2.0)
    assert torch.allclose(spread.mean((1, 2, 3)), dim.mean((1, 2, 3)))
    assert torch.allclose(spread.std((1, 2, 3)), 2 * dim.std((1, 2, 3)))
    assert torch.equal(contrast(images, 100.0).clamp(0, 1), contrast(images, 100.0))


def test_blur_is_a_normalised_gaussian(images: torch.Tensor) -> None:
    point = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    point[0, 0, 10, 10] = 1
    spot = blur(point, 1.5)[0, 0]
    assert spot.sum() == pytest.approx(1)
    offsets = torch.arange(-4, 5, dtype=torch.float64)
    expected = torch.exp(-0.5 * (offsets / 1.5).square())
    assert torch.allclose(spot[10, 6:15] / spot[10, 10], expected)
    assert torch.allclose(blur(torch.full_like(images, 0.3), 2.0), torch.full_like(images, 0.3))


def test_sharpening_leaves_flat_images_alone_and_steepens_edges(images: torch.Tensor) -> None:
    assert torch.allclose(sharpen(torch.full_like(images, 0.3)), torch.full_like(images, 0.3))
    edge = torch.full((1, 1, 9, 9), 0.4, dtype=torch.float64)
    edge[..., 5:] = 0.6
    sharp = sharpen(edge, 1.0)[0, 0, 4]
    assert sharp[4] < 0.4
    assert sharp[5] > 0.6


@pytest.mark.parametrize("name", ["blur", "contrast", "dilation", "erosion", "sharpen"])
def test_edits_are_found_by_name_and_keep_the_size(images: torch.Tensor, name: str) -> None:
    before = images.clone()
    result = edited(build_edit(name), images)
    assert result.dtype == torch.float64
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("dilatation", "unknown edit 'dilatation': did you mean 'dilation'"),
        ({"dilation": {"sise": 3}}, r"unexpected keyword argument 'sise'; its parameters: size=3"),
        ({"dilation": {}, "blur": {}}, "an edit is a name or"),
        ({"dilation": 3}, r"parameters must be \{name: value\}, found 3"),
        (7, "an edit is a name"),
    ],
)
def test_what_is_no_edit(entry: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_edit(entry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dilation": {"size": 2}}, "dilation: size should be odd"),
        ({"blur": {"sigma": 0}}, "blur: sigma"),
        ({"contrast": {"factor": -1}}, "contrast: factor"),
        ({"sharpen": {"amount": "much"}}, "sharpen: amount"),
        (lambda images: images[:, :, 1:], r"must give images of the size \(3, 2, 6, 7\), found \(3, 2, 5, 7\)"),
        (lambda images: None, "found NoneType"),
    ],
)
def test_parameters_out_of_range_and_results_of_another_size(images: torch.Tensor, entry, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edited(build_edit(entry), images)
