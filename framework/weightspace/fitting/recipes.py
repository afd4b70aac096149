"""Recipes: how the networks of a zoo are initialised and fitted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from weightspace.checks import check_choice, check_number, check_whole, is_number, is_whole, require
from weightspace.errors import ConfigError, RecipeError, SpecError, closest
from weightspace.files import read_regular
from weightspace.files.safe_yaml import MOST_CHARACTERS, load_yaml
from weightspace.spec import NetworkSpec

#: Half-width of a uniform initialisation as a function of (fan_in, omega).
BOUNDS = {
    "zero": lambda fan_in, omega: 0.0,
    "siren": lambda fan_in, omega: math.sqrt(6 / fan_in) / omega,
    "siren_first": lambda fan_in, omega: 1 / fan_in,
    "linear": lambda fan_in, omega: 1 / math.sqrt(fan_in),
    "he": lambda fan_in, omega: math.sqrt(6 / fan_in),
}


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value))


def _plain(value: Any) -> Any:
    """Converts lists (from YAML and JSON) to tuples, and NumPy scalars to Python numbers."""
    return tuple(value) if isinstance(value, list) else value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Recipe:
    """Everything except the seed that determines how a network is fitted to an object.

    The loss is the mean squared error over all points and the optimiser is Adam; see ``docs/method.md``.

    Args:
        name: name of the recipe, which is kept in a zoo's provenance.
        hidden: widths of the hidden layers.
        activation: "sine", "tanh" or "relu".
        omega: frequency of the sine layers, one number or one per hidden layer (1 for other activations).
        output_offset: constant added to the output.
        weight_init: bounds of the uniform initialisation of the (first, other hidden, last) weights, see ``BOUNDS``.
        bias_init: the same for the biases.
        init_scale: factor of all these bounds, > 0.
        init: "per_network", or "shared": one initialisation for the whole zoo (an easier problem).
        optimiser: "adam", the only one so far.
        learning_rate: > 0, one number or one per layer (weights and bias), from the first to the last.
        betas: Adam's decay rates, in [0, 1).
        epsilon: Adam's epsilon, > 0.
        schedule: "constant"; "cosine" (to zero over ``steps``); or "trapezoid": up over the first eighth of ``steps``,
            constant, and down to zero over the last half, all linearly.
        steps: 1 to 1,000,000.
        points_per_step: number of points of an object per step, used in turn; a divisor of their number. None: all.
        stop_psnr: a network whose PSNR (dB) reaches this stops; None: never.
        value_range: what the object's values in [0, 1] are mapped to.
        given: names of the fields that were set explicitly; None: those that differ from their defaults. A fitter
            refuses those that it does not use, see ``Fitter``.

    Raises:
        RecipeError: a value is out of range; the message names the field.
    """

    name: str = "custom"
    hidden: tuple[int, ...] = (32, 32)
    activation: str = "sine"
    omega: float | tuple[float, ...] = 30.0
    output_offset: float = 0.5
    weight_init: tuple[str, str, str] = ("siren_first", "siren", "siren")
    bias_init: tuple[str, str, str] = ("linear", "linear", "zero")
    init_scale: float = 1.0
    init: str = "per_network"
    optimiser: str = "adam"
    learning_rate: float | tuple[float, ...] = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    schedule: str = "cosine"
    steps: int = 100
    points_per_step: int | None = None
    stop_psnr: float | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    given: frozenset[str] | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, _plain(getattr(self, name)))
        if self.given is None:
            changed = (f.name for f in dataclasses.fields(self) if getattr(self, f.name) != f.default)
            object.__setattr__(self, "given", frozenset(changed) & FIELDS - {"name"})
        self._check_numbers()
        for name in ("weight_init", "bias_init"):
            chosen = getattr(self, name)
            three = isinstance(chosen, tuple) and len(chosen) == 3 and all(str(bound) in BOUNDS for bound in chosen)
            self._require(name, three, f"three of {', '.join(sorted(BOUNDS))}")
        check_choice(*self._named("init"), ("per_network", "shared"), RecipeError)
        check_choice(*self._named("optimiser"), ("adam",), RecipeError)
        check_choice(*self._named("schedule"), ("constant", "cosine", "trapezoid"), RecipeError)
        self.spec(2, 1)

    def _check_numbers(self) -> None:
        check_number(*self._named("output_offset"), error=RecipeError)
        for name in ("init_scale", "epsilon"):
            check_number(*self._named(name), above=0, error=RecipeError)
        if self.stop_psnr is not None:
            check_number(*self._named("stop_psnr"), error=RecipeError)
        check_whole(*self._named("steps"), 1, 10**6, RecipeError)
        if self.points_per_step is not None:
            check_whole(*self._named("points_per_step"), low=1, error=RecipeError)
        widths = self.hidden if isinstance(self.hidden, tuple) else ()
        self._require("hidden", bool(widths) and all(is_whole(w) and w >= 1 for w in widths), "whole numbers >= 1")
        self._check_rates(len(widths) + 1)
        omegas = self.omega if isinstance(self.omega, tuple) else (self.omega,)
        self._require("omega", all(map(is_number, omegas)), "a number, or one per hidden layer")
        self._require("betas", _is_pair(self.betas) and all(0 <= b < 1 for b in self.betas), "two numbers in [0, 1)")
        ordered = _is_pair(self.value_range) and self.value_range[0] < self.value_range[1]
        self._require("value_range", ordered, "two numbers (low, high) with low < high")

    def _check_rates(self, layers: int) -> None:
        rates = self.learning_rate
        if not isinstance(rates, tuple):
            check_number(*self._named("learning_rate"), above=0, error=RecipeError)
            return
        right = all(is_number(rate) and rate > 0 for rate in rates)
        self._require("learning_rate", right, f"a number > 0, or one for each of the {layers} layers")
        if len(rates) != layers:
            fitting = as_text([*rates, *[rates[-1]] * layers][:layers]) if rates else "[...]"
            raise RecipeError(
                f"recipe {self.name!r}: learning_rate has {len(rates)} rates, one per layer, and networks with "
                f"{layers - 1} hidden layers need {layers}: give as many, for instance --set 'learning_rate={fitting}' "
                "(learning_rate=[...] in Python), or one number for all layers"
            )

    def _named(self, name: str) -> tuple[str, Any]:
        """Returns the name of a field in messages, and its value."""
        return f"recipe {self.name!r}: {name}", getattr(self, name)

    def _require(self, name: str, holds: bool, expected: str) -> None:
        require(*self._named(name), holds, expected, RecipeError)

    def spec(self, in_dim: int, out_dim: int) -> NetworkSpec:
        """Architecture of networks for objects with ``in_dim`` coordinates and ``out_dim`` channels."""
        return NetworkSpec((in_dim, *self.hidden, out_dim), self.activation, self.omega, self.output_offset)

    def rate(self, step: int, layer: int = 0) -> float:
        """Learning rate of a layer at a step, both counted from 0."""
        rate = self.learning_rate[layer] if isinstance(self.learning_rate, tuple) else self.learning_rate
        if self.schedule == "constant":
            return rate
        if self.schedule == "trapezoid":
            return rate * min(1.0, 8 * (step + 1) / self.steps, 2 * (1 - step / self.steps))
        return rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def to_json(self, fields: Collection[str] | None = None) -> dict[str, Any]:
        """Returns all fields, or the given ones, as JSON data; ``Recipe(**data)`` of all fields equals this recipe."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name in FIELDS}
        chosen = {name: value for name, value in data.items() if fields is None or name in fields}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


#: Names of all fields that affect the networks.
FIELDS = frozenset(field.name for field in dataclasses.fields(Recipe)) - {"given"}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        # The fits of DWSNets (Navon et al., arXiv 2301.12780) that the paper uses.
        Recipe(
            name="dwsnets",
            weight_init=("siren", "siren", "linear"),
            bias_init=("zero", "zero", "linear"),
            learning_rate=5e-4,
            schedule="constant",
            steps=1000,
            stop_psnr=40.0,
        ),
        # Takes a fifth of the time, and its networks are easier to learn from; docs/zoo.md gives the cost in PSNR.
        Recipe(
            name="fast",
            weight_init=("siren", "siren", "linear"),
            bias_init=("zero", "zero", "linear"),
            init_scale=0.3,
            learning_rate=1e-3,
            schedule="constant",
            steps=200,
            stop_psnr=40.0,
        ),
        # The PSNR of `dwsnets` in a fifth of its steps; experiments/README.md has what else was tried.
        Recipe(
            name="quick",
            weight_init=("siren", "siren", "linear"),
            bias_init=("zero", "zero", "linear"),
            init_scale=0.3,
            learning_rate=(8e-3, 4e-3, 4e-3),
            betas=(0.9, 0.9),
            schedule="trapezoid",
            steps=180,
            stop_psnr=40.0,
        ),
        # The initialisation of SIREN (Sitzmann et al., arXiv 2006.09661), a short schedule.
        Recipe(name="siren"),
        # Solids from signed distances, with 4,096 of their points per step.
        Recipe(name="sdf", hidden=(32, 32, 32), learning_rate=2e-3, steps=500, points_per_step=4096),
        # For the source `classifiers`, which draws the other hyperparameters of each classifier.
        Recipe(
            name="classifier",
            hidden=(16, 16),
            activation="relu",
            omega=1.0,
            output_offset=0.0,
            weight_init=("he", "he", "he"),
            bias_init=("zero", "zero", "zero"),
            steps=400,
        ),
        # For the source `cnns`: its hidden layers are convolutions.
        Recipe(
            name="cnn",
            hidden=(16, 16, 16),
            activation="relu",
            omega=1.0,
            output_offset=0.0,
            weight_init=("he", "he", "linear"),
            bias_init=("zero", "zero", "zero"),
            steps=470,
        ),
        Recipe(
            name="tanh",
            activation="tanh",
            omega=1.0,
            weight_init=("he", "linear", "linear"),
            bias_init=("he", "linear", "zero"),
            learning_rate=5e-3,
            steps=1000,
        ),
        Recipe(
            name="relu",
            activation="relu",
            omega=1.0,
            weight_init=("he", "he", "linear"),
            bias_init=("linear", "linear", "zero"),
            learning_rate=5e-3,
            steps=1000,
        ),
    )
}


def load_recipe(name: str | Path | Recipe, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Loads a recipe by name or from a YAML file, or takes a given one, and changes some of its fields.

    Args:
        name: a key of ``RECIPES``, a path that ends in .yaml or .yml, or a recipe.
        changes: fields to replace, which are added to the recipe's name.

    Raises:
        RecipeError: a name or field is unknown, or a value is out of range.

    >>> load_recipe("dwsnets", {"steps": 300}).name
    'dwsnets, steps=300'
    """
    recipe = name if isinstance(name, Recipe) else _called(str(name))
    if not changes:
        return recipe
    label = ", ".join(f"{key}={as_text(value)}" for key, value in sorted(changes.items()))
    return _build({**recipe.to_json(), "name": f"{recipe.name}, {label}", **changes}, {*(recipe.given or ()), *changes})


def as_text(value: Any) -> str:
    """The value of a field as ``--set`` takes it.

    >>> as_text(["1e-3", 0.002]), as_text(("he", "he", "he")), as_text(None)
    ('[0.001, 0.002]', '[he, he, he]', 'null')
    """
    plain = _number(_plain(value))
    if isinstance(plain, (list, tuple)):
        return f"[{', '.join(map(as_text, plain))}]"
    return "null" if plain is None else str(plain)


def _called(name: str) -> Recipe:
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name).expanduser())
    if name not in RECIPES:
        raise RecipeError(f"unknown recipe {name!r} (a path must end in .yaml): {closest(name, RECIPES)}")
    return RECIPES[name]


def _read(path: Path) -> Recipe:
    try:
        data = load_yaml(read_regular(path, MOST_CHARACTERS).decode())
    except (OSError, UnicodeDecodeError, ConfigError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe file {path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"recipe file {path}: expected fields of a recipe, found {data!r}")
    return _build({"name": path.stem, **data}, set(data))


def _build(data: dict[str, Any], given: set[str]) -> Recipe:
    for key in data:
        if key not in FIELDS:
            raise RecipeError(f"a recipe has no field {key!r}: {closest(str(key), FIELDS)}")
    fields = {key: value if key == "name" else _number(value) for key, value in data.items()}
    try:
        return Recipe(**fields, given=frozenset(given - {"name"}))
    except SpecError as error:
        raise RecipeError(f"recipe {data['name']!r}: {error}") from error


def _number(value: Any) -> Any:
    """Converts text that is a number, such as 1e-3, which YAML reads as text; also within a list."""
    if isinstance(value, (list, tuple)):
        return [_number(entry) for entry in value]
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
