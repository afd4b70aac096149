from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from weightspace.cli.parser import key_values
from weightspace.errors import RecipeError
from weightspace.fitting.classifier_fitter import ClassifierFitter
from weightspace.fitting.fitter import BatchedFitter
from weightspace.fitting.initialise import bounds, initialise
from weightspace.fitting.recipes import RECIPES, Recipe, load_recipe
from weightspace.spec import NetworkSpec


def test_dwsnets_is_the_published_recipe() -> None:
    recipe = RECIPES["dwsnets"]
    spec = recipe.spec(2, 1)
    assert (spec.omegas, spec.output_offset, recipe.init) == ((30, 30), 0.5, "per_network")
    assert (recipe.learning_rate, recipe.schedule, recipe.steps, recipe.stop_psnr) == (5e-4, "constant", 1000, 40)
    limits = bounds(recipe, spec)
    weights = [float(limits[s][0]) for s in spec.weight_slices]
    biases = [float(limits[s][0]) for s in spec.bias_slices]
    assert weights == pytest.approx([math.sqrt(3) / 30, math.sqrt(6 / 32) / 30, 1 / math.sqrt(32)])
    assert biases == pytest.approx([0, 0, 1 / math.sqrt(32)])
    assert {recipe.rate(t) for t in range(1000)} == {5e-4}


def test_siren_is_the_published_recipe() -> None:
    recipe = RECIPES["siren"]
    spec = recipe.spec(2, 1)
    limits = bounds(recipe, spec)
    weights = [float(limits[s][0]) for s in spec.weight_slices]
    biases = [float(limits[s][0]) for s in spec.bias_slices]
    assert weights == pytest.approx([1 / 2, math.sqrt(6 / 32) / 30, math.sqrt(6 / 32) / 30])
    assert biases == pytest.approx([1 / math.sqrt(2), 1 / math.sqrt(32), 0])
    assert (recipe.rate(0), recipe.steps) == (1e-3, 100)
    assert recipe.rate(50) == pytest.approx(5e-4)


def test_a_trapezoid_rises_stays_and_falls_linearly() -> None:
    recipe = load_recipe("quick", {"steps": 16, "learning_rate": [8.0, 4.0, 1.0]})
    heights = [0.5] + 8 * [1] + [1 - n / 8 for n in range(1, 8)]
    for layer, rate in enumerate((8.0, 4.0, 1.0)):
        assert [recipe.rate(step, layer) for step in range(16)] == pytest.approx([rate * height for height in heights])
    assert max(load_recipe("quick", {"steps": 1}).rate(0, layer) for layer in range(3)) == 8e-3


def test_initial_weights_are_uniform_and_belong_to_the_network() -> None:
    recipe = RECIPES["siren"]
    spec = recipe.spec(2, 1)
    drawn = initialise(recipe, spec, 0, [(i, 0, 0) for i in range(400)])
    layer = drawn[:, spec.weight_slices[1]] / bounds(recipe, spec)[spec.weight_slices[1]]
    assert layer.abs().max() <= 1
    assert float(layer.mean()) == pytest.approx(0, abs=0.01)
    assert float(layer.var()) == pytest.approx(1 / 3, abs=0.01)
    assert torch.equal(initialise(recipe, spec, 0, [(7, 0, 0)])[0], drawn[7])
    others = [initialise(recipe, spec, *key)[0] for key in ((1, [(7, 0, 0)]), (0, [(7, 1, 0)]), (0, [(7, 0, 1)]))]
    assert all(not torch.equal(other, drawn[7]) for other in others)


def test_a_shared_initialisation_is_one_for_all() -> None:
    recipe = load_recipe("dwsnets", {"init": "shared"})
    drawn = initialise(recipe, recipe.spec(2, 1), 0, [(1, 0, 0), (2, 0, 0), (2, 1, 0)])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2]), "views of an object must differ"


def test_json_round_trip() -> None:
    assert all(Recipe(**recipe.to_json()) == recipe for recipe in RECIPES.values())


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text("hidden: [8, 8]\nsteps: 7\nlearning_rate: [1e-3, 2e-3, 1]\n")  # YAML reads 1e-3 as text
    recipe = load_recipe(str(path), {"steps": 9})
    assert (recipe.hidden, recipe.steps, recipe.name) == ((8, 8), 9, "slow, steps=9")
    assert recipe.learning_rate == (1e-3, 2e-3, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "no field 'step': did you mean 'steps'"),
        ({"steps": 0}, r"steps must be in 1\.\.1,000,000, found 0"),
        ({"steps": 10**12}, r"steps must be in 1\.\.1,000,000, found 1000000000000"),
        ({"schedule": "linear"}, "schedule must be"),
        ({"activation": "gelu"}, "unknown activation 'gelu'"),
        ({"value_range": [1, 0]}, "low < high"),
        ({"bias_init": ["zero", "zero", "one"]}, "bias_init must be three of"),
        ({"steps": "many"}, "steps must be a whole number, in 1.* found 'many'"),
        ({"steps": 2.5}, "steps must be a whole number"),
        (
            {"learning_rate": [1e-3, 2e-3]},
            r"has 2 rates, one per layer, and networks with 2 hidden layers need 3: give as many, for instance "
            r"--set 'learning_rate=\[0.001, 0.002, 0.002\]'.* or one number",
        ),
        ({"learning_rate": []}, "has 0 rates, one per layer"),
        ({"learning_rate": [1e-3, 1e-3, 0]}, "learning_rate must be a number > 0, or one for each of the 3 layers"),
        ({"learning_rate": "fast"}, "learning_rate must be a finite number, > 0, found 'fast'"),
        ({"omega": float("nan")}, "omega must be a number"),
        ({"hidden": [8.5, 8]}, "hidden must be whole numbers"),
    ],
)
def test_bad_recipes_say_why(changes: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("dwsnets", changes)


def test_a_recipe_with_rates_per_layer_asks_for_as_many_as_there_are_layers() -> None:
    with pytest.raises(RecipeError, match=r"learning_rate has 3 rates.* 3 hidden layers need 4: give as many") as told:
        load_recipe("quick", {"hidden": [8, 8, 8]})
    suggested = str(told.value).split("'")[3]
    assert suggested == "learning_rate=[0.008, 0.004, 0.004, 0.004]"
    recipe = load_recipe("quick", {"hidden": [8, 8, 8], **key_values([suggested])})
    assert recipe.learning_rate == (8e-3, 4e-3, 4e-3, 4e-3)


def test_the_name_of_a_changed_recipe_is_what_set_takes() -> None:
    given = ["learning_rate=[1e-3,2e-3,1]", "weight_init=[he,he,he]", "stop_psnr=null", "steps=7"]
    recipe = load_recipe("dwsnets", key_values(given))
    assert recipe.name == (
        "dwsnets, learning_rate=[0.001, 0.002, 1], steps=7, stop_psnr=null, weight_init=[he, he, he]"
    )
    assert load_recipe("dwsnets", {"learning_rate": (1e-3, 2e-3, 1)}).name == "dwsnets, learning_rate=[0.001, 0.002, 1]"


def test_a_recipe_knows_which_fields_were_given(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("schedule: cosine\n")  # its default
    assert Recipe().given == frozenset()
    assert Recipe(steps=7, name="x").given == {"steps"}
    assert load_recipe(str(path), {"epsilon": 1e-8}).given == {"schedule", "epsilon"}
    assert load_recipe("sdf", {"steps": 9}).given == {"hidden", "learning_rate", "steps", "points_per_step"}


def test_what_a_fitter_does_not_use_is_refused_and_not_kept(tmp_path: Path) -> None:
    spec = NetworkSpec((4, 6, 3), "relu")
    with pytest.raises(RecipeError, match="ClassifierFitter does not use learning_rate, stop_psnr: leave that out"):
        ClassifierFitter(Recipe(activation="relu", omega=1.0, stop_psnr=30.0, learning_rate=7.0), spec)
    kept = RECIPES["classifier"].to_json(ClassifierFitter.recipe_fields)
    assert kept.keys() == ClassifierFitter.recipe_fields
    assert not kept.keys() & {"learning_rate", "schedule", "stop_psnr", "points_per_step", "value_range", "optimiser"}


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_hold_what_their_fitter_uses(name: str) -> None:
    fitter = ClassifierFitter if name == "classifier" else BatchedFitter
    assert RECIPES[name].given <= fitter.recipe_fields


def test_unknown_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'siren'"):
        load_recipe("sirens")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.yaml"))
