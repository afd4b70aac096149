from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from weightspace.augment import build_augmentations, list_augmentations
from weightspace.batch import WeightBatch
from weightspace.cli.main import main
from weightspace.figures.augmentation import augmentation_figure
from weightspace.spec import NetworkSpec
from weightspace.zoo import Zoo, write_zoo


def test_the_table_lists_all_with_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["augmentations"]) == 0
    out = capsys.readouterr().out
    for name in ("rotate", "positive_scale", "mixup_aligned_permuted"):
        assert name in out
    for text in ("the function of", "input space", "data-agnostic", "group=auto", "weightspace"):
        assert text in out


#: Of those that have to be given some.
PARAMETERS = {
    "one_of": ["of=[rotate, mixup]", "weights=[1, 2]"],
    "some_of": ["of=[rotate, dropout, permute]", "count=[1, 2]"],
    "repeat": ["of={rotate: {degrees: 90}}", "times=2"],
}


@pytest.mark.parametrize("name", [n for n in list_augmentations() if n != "positive_scale"])
def test_a_picture_of_each(name: str, digits_zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.png"
    command = [
        "augmentations",
        "show",
        name,
        "--zoo",
        str(digits_zoo),
        "--out",
        str(out),
        "--side",
        "16",
        "--draws",
        "2",
    ]
    parameters = ["--set", *PARAMETERS[name]] if name in PARAMETERS else []
    assert main([*command, "--count", "4", *parameters]) == 0
    picture = imread(out)
    assert picture.shape[0] > 200
    assert picture[..., :3].std() > 0.1


def test_what_depends_on_parameters_is_shown_for_those_that_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*arguments: str) -> str:
        assert main(["augmentations", "show", *arguments]) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "keeps: by parameters; valid for: by parameters" in shown("one_of")
    assert "in YAML: - one_of: {of: ..., weights: null, p: 1.0}" in shown("one_of")
    moved = shown("one_of", "--set", "of=[rotate, sign_flip]")
    assert "keeps: the function of the moved input; valid for: sine, tanh" in moved
    assert "keeps: nothing exactly; valid for: none" in shown("repeat", "--set", *NOWHERE)
    assert 'augmentations: ["permute"]' in shown("self_mixup")


NOWHERE = ["of=[sign_flip, positive_scale, dropout]", "times=1"]


def test_parameters_can_be_set(digits_zoo: Path, tmp_path: Path) -> None:
    def picture(*options: str) -> bytes:
        out = tmp_path / "f.png"
        command = ["augmentations", "show", "gaussian_noise", "--zoo", str(digits_zoo), "--out", str(out), *options]
        assert main([*command, "--count", "3", "--draws", "1"]) == 0
        return out.read_bytes()

    assert picture("--set", "scale=0.0") != picture("--set", "scale=1.0")
    assert picture() == picture("--set", "scale=0.1", "p=1.0") == picture("--set", "scale=0.1", "--set", "p=1.0")
    assert picture() != picture("--seed", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rotat"], "unknown augmentation 'rotat': did you mean 'rotate'?"),
        (
            ["one_of", "--set", "of=[rotat]"],
            "'one_of' of weightspace 0.1.0: unknown augmentation 'rotat': did you",
        ),
        (["one_of", "--zoo", "ZOO", "--out", "OUT"], "missing a required argument: 'of'; its parameters: of, weights"),
        (["rotate", "--zoo", "ZOO"], "a picture needs both --zoo (whose networks) and --out"),
        (["rotate", "--set", "degrees"], "expected items like name=value, with spaces between them"),
        (["rotate", "--set", "degrees=900"], "'rotate' of weightspace 0.1.0: degrees must be in 0..180, found 900"),
        (["rotate", "--set", "angle=9"], "its parameters: degrees=30.0, p=1.0"),
        (["positive_scale", "--zoo", "ZOO", "--out", "OUT"], "valid for relu networks only"),
        (["rotate", "--zoo", "ZOO", "--out", "OUT", "--count", "0"], "--count must be in 1..32, found 0"),
        (["rotate", "--zoo", "ZOO", "--out", "OUT", "--seed", "-1"], "--seed must be in 0..4,294,967,295, found -1"),
        (["rotate", "--zoo", "ZOO", "--out", "x.jpg"], "expected a name that ends in .png, found 'x.jpg'"),
        (["rotate", "--zoo", "no/where", "--out", "OUT"], "no/where"),
    ],
)
def test_bad_input(
    arguments: list[str], message: str, digits_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "f.png"
    given = [{"ZOO": str(digits_zoo), "OUT": str(out)}.get(argument, argument) for argument in arguments]
    assert main(["augmentations", "show", *given]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def solids(folder: Path, *widths: int) -> Zoo:
    """Five networks. All but the last are one half at 0, since they are odd about it; the last is it nowhere."""
    spec = NetworkSpec(widths or (3, 4, 3, 1), "tanh", output_offset=0.5)
    params = torch.randn(5, spec.num_params, generator=torch.Generator().manual_seed(3))
    for bias in WeightBatch(params, spec).biases:
        bias.zero_()
    params[4] = 0
    params[4, -1] = -3
    return write_zoo(folder, params, spec, targets=[0, 1, 0, 1, 0], names=["a", "b"])


@pytest.mark.parametrize("name", ["rotate", "translate", "scale", "gaussian_noise", "mixup", "sign_flip"])
def test_solids_are_drawn_before_and_after(name: str, tmp_path: Path) -> None:
    zoo = solids(tmp_path / "zoo")
    (augmentation,) = build_augmentations([name])
    figure = augmentation_figure(augmentation, zoo[:], zoo.class_names, zoo.value_range, draws=2, side=10)
    cubes = [axis for axis in figure.axes if axis.name == "3d"]
    assert len(cubes) == 3 * 5
    assert len(figure.axes) - len(cubes) == (2 * 5 if name == "sign_flip" else 0)  # weights
    assert [axis.get_title() for axis in cubes[:5]] == ["a", "b", "a", "b", "a"]
    assert len({(axis.elev, axis.azim, axis.get_xlim(), axis.get_zlim()) for axis in cubes}) == 1
    texts = [[text.get_text() for text in axis.texts] for axis in cubes]
    assert [line[-1] for line in texts[::5]] == ["before", "draw 1", "draw 2"]
    assert texts[4] == ["empty"]
    assert texts[1] == []
    if name == "sign_flip":
        assert all(axis.get_title() == "same" or axis.get_title().startswith("+-") for axis in cubes[5:])


def test_a_picture_of_solids_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(zoo: Zoo, *options: str) -> int:
        return main(
            ["augmentations", "show", "rotate", "--zoo", str(zoo.path), "--out", str(tmp_path / "f.png"), *options]
        )

    zoo = solids(tmp_path / "zoo")
    assert shown(zoo, "--set", "axis=vertical", "--side", "8", "--draws", "1", "--count", "2") == 0
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert shown(zoo, "--side", "200") == 2
    assert "--side must be in 8..128, found 200" in capsys.readouterr().err
    assert shown(solids(tmp_path / "lines", 1, 4, 1)) == 2
    assert "pictures are of networks of two or three coordinates" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("inputs", [2, 3])
def test_of_several_outputs_the_first_is_drawn(inputs: int, tmp_path: Path) -> None:
    zoo, out = solids(tmp_path / "zoo", inputs, 4, 2), tmp_path / "f.png"
    drawn = ["--zoo", str(zoo.path), "--out", str(out), "--side", "8", "--draws", "1", "--count", "2"]
    assert main(["augmentations", "show", "rotate", *drawn]) == 0
    out.unlink()
    assert main(["zoo", "show", str(zoo.path), "--out", str(out), "--count", "2", "--split", "train"]) == 0
    assert out.is_file()


def test_images_have_28_pixels_where_none_are_asked_for(zoo: Zoo) -> None:
    (augmentation,) = build_augmentations(["rotate"])
    figure = augmentation_figure(augmentation, zoo[:2], zoo.class_names, zoo.value_range, draws=1)
    assert {axis.images[0].get_array().shape for axis in figure.axes} == {(28, 28)}


def test_mixed_targets_are_told(zoo: Zoo) -> None:
    batch = zoo.batch(zoo.rows("train", first_view_only=True)[:6])

    def captions(name: str) -> list[str]:
        (augmentation,) = build_augmentations([name])
        figure = augmentation_figure(augmentation, batch, zoo.class_names, zoo.value_range, draws=1, side=8)
        return [axis.get_title() for axis in figure.axes]

    assert any("%" in caption and "\n" in caption for caption in captions("mixup"))
    assert "" not in captions("permute")[6:12]
    assert captions("rotate")[6:12] == [""] * 6
