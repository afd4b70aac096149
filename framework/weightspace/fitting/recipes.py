"""How the networks of a zoo are initialised and fitted, as data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how an object becomes a network, besides the seed.

    The loss is the mean squared error over all points; the optimiser Adam; see ``docs/method.md``.

    Args:
        name: kept in a zoo's provenance.
        hidden: widths of the hidden layers.
        activation: "sine", "tanh" or "relu".
        omega: frequency of the sine layers, one number or one per hidden layer (1 for other activations).
        output_offset: constant added to the output.
        weight_init: bounds of the uniform initialisation of the (first, other hidden, last) weights, see ``BOUNDS``.
        bias_init: the same for the biases.
        init_scale: factor of all these bounds, > 0.
        init: "per_network", or "shared": one initialisation for the whole zoo (an easier problem).
        optimiser: "adam", the only one so far.
        learning_rate: > 0.
        betas: Adam's decay rates, in [0, 1).
        epsilon: Adam's epsilon, > 0.
        schedule: "constant" or "cosine" (to zero over ``steps``).
        steps: 1 to 1,000,000.
        points_per_step: how many of an object's points each step uses, in turn; a divisor of their number. None: all.
        stop_psnr: a network whose PSNR (dB) reaches this stops; None: never.
        value_range: what the object's values in [0, 1] are mapped to.
        given: names of the fields that were asked for; None: those that differ from their defaults. A fitter refuses
            the ones that it does not use, see ``Fitter``.

    Raises:
        RecipeError: a value out of range; the message names the field.
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
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    schedule: str = "cosine"
    steps: int = 100
    points_per_step: int | None = None
    stop_psnr: float | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    given: frozenset[str] | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in FIELDS:  # lists come from YAML and JSON
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if self.given is None:
            changed = (f.name for f in dataclasses.fields(self) if getattr(self, f.name) != f.default)
            object.__setattr__(self, "given", frozenset(changed) & FIELDS - {"name"})
        for name in ("output_offset", "learning_rate", "epsilon", "init_scale"):
            self._require(name, _is_number(getattr(self, name)), "a number")
        self._require("stop_psnr", self.stop_psnr is None or _is_number(self.stop_psnr), "a number or nothing")
        self._require("steps", type(self.steps) is int and 1 <= self.steps <= 10**6, "a whole number >= 1, up to 10^6")
        per_step = self.points_per_step
        self._require("points_per_step", per_step is None or (type(per_step) is int and per_step >= 1), "a number >= 1")
        widths = self.hidden if isinstance(self.hidden, tuple) else ()
        self._require("hidden", bool(widths) and all(type(w) is int and w >= 1 for w in widths), "whole numbers >= 1")
        for name in ("betas", "value_range"):
            value = getattr(self, name)
            pair = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
            self._require(name, pair, "two numbers")
        omegas = self.omega if isinstance(self.omega, tuple) else (self.omega,)
        self._require("omega", all(map(_is_number, omegas)), "a number, or one per hidden layer")
        for name in ("weight_init", "bias_init"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or len(value) != 3 or any(v not in BOUNDS for v in value):
                self._refuse(name, f"three of {sorted(BOUNDS)}")
        self._require("init", self.init in ("per_network", "shared"), "'per_network' or 'shared'")
        self._require("optimiser", self.optimiser == "adam", "'adam'")
        self._require("schedule", self.schedule in ("constant", "cosine"), "'constant' or 'cosine'")
        self._require("learning_rate", self.learning_rate > 0, "a number > 0")
        self._require("betas", all(0 <= b < 1 for b in self.betas), "two numbers in [0, 1)")
        self._require("epsilon", self.epsilon > 0, "a number > 0")
        self._require("init_scale", self.init_scale > 0, "a number > 0")
        low, high = self.value_range
        self._require("value_range", high > low, "(low, high) with low < high")
        self.spec(2, 1)

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            self._refuse(name, expected)

    def _refuse(self, name: str, expected: str) -> None:
        raise RecipeError(f"recipe {self.name!r}: {name} must be {expected}, found {getattr(self, name)!r}")

    def spec(self, in_dim: int, out_dim: int) -> NetworkSpec:
        """Architecture of the networks for objects with this many coordinates and channels."""
        return NetworkSpec((in_dim, *self.hidden, out_dim), self.activation, self.omega, self.output_offset)

    def rate(self, step: int) -> float:
        """Learning rate at a step, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def to_json(self, fields: Collection[str] | None = None) -> dict[str, Any]:
        """A plain dictionary of all fields, or of some; ``Recipe(**data)`` gives an equal recipe of all."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name in FIELDS}
        chosen = {name: value for name, value in data.items() if fields is None or name in fields}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


#: Names of all fields that decide a network.
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
        # As many networks in a fifth of the time, easier to learn from: see docs/zoo.md for what it costs in PSNR.
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
        # The initialisation of SIREN (Sitzmann et al., arXiv 2006.09661), a short schedule.
        Recipe(name="siren"),
        # Solids from signed distances, 4,096 of their points a step.
        Recipe(name="sdf", hidden=(32, 32, 32), learning_rate=2e-3, steps=500, points_per_step=4096),
        # Classifiers of the source `classifiers`, which has hyperparameters of its own for each.
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
    """A named recipe, one from a YAML file, or a given one, with some fields changed.

    Args:
        name: a key of ``RECIPES``, a path that ends in .yaml or .yml, or a recipe.
        changes: fields to replace; a changed recipe's name says so.

    Raises:
        RecipeError: unknown name or field, or a value out of range.

    >>> load_recipe("dwsnets", {"steps": 300}).name
    'dwsnets, steps=300'
    """
    recipe = name if isinstance(name, Recipe) else _called(str(name))
    if not changes:
        return recipe
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in changes.items()}
    label = ", ".join(f"{key}={value}" for key, value in sorted(plain.items()))
    return _build({**recipe.to_json(), "name": f"{recipe.name}, {label}", **changes}, {*(recipe.given or ()), *changes})


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
    """YAML reads 1e-3 as text: a number, where text is one."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
