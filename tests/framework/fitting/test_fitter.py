from __future__ import annotations

import pytest
import torch
from torch import Tensor
from weightspace.batch import WeightBatch
from weightspace.errors import RecipeError
from weightspace.fitting.choose import choose_mode
from weightspace.fitting.fitter import BatchedFitter, block_size, tile_count
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import RECIPES, Recipe, load_recipe
from weightspace.fitting.sincos import sincos
from weightspace.fitting.step import FitState, make_step
from weightspace.network import evaluate
from weightspace.sources import load_source


def reference(recipe: Recipe, initial: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Fits one network with autograd and torch.optim.Adam."""
    spec = recipe.spec(x.shape[1], y.shape[1])
    ends = zip(spec.weight_slices, spec.bias_slices, strict=True)
    layers = [initial[weight.start : bias.stop].clone().requires_grad_() for weight, bias in ends]
    adam = torch.optim.Adam([{"params": [layer]} for layer in layers], 1.0, recipe.betas, recipe.epsilon)
    low, high = recipe.value_range
    for step in range(recipe.steps):
        for layer, group in enumerate(adam.param_groups):
            group["lr"] = recipe.rate(step, layer)
        adam.zero_grad()
        output = evaluate(WeightBatch(torch.cat(layers)[None], spec), x)[0]
        loss = (output - (low + (high - low) * y)).square().mean()
        loss.backward()
        if recipe.stop_psnr and loss.item() <= (high - low) ** 2 * 10 ** (-recipe.stop_psnr / 10):
            break
        adam.step()
    return torch.cat(layers).detach()


def problem(recipe: Recipe, count: int) -> tuple[Tensor, Tensor, Tensor]:
    source = load_source("digits")
    values = source.values(torch.arange(count))
    initial = initialise(recipe, recipe.spec(2, 1), 0, [(i, 0, 0) for i in range(count)])
    return initial, source.coordinates(), values


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dwsnets", {"steps": 12}),
        ("siren", {"steps": 12, "value_range": [-1, 1]}),
        ("quick", {"steps": 12, "hidden": [7, 5, 6], "learning_rate": [8e-3, 4e-3, 2e-3, 1e-3]}),
        ("tanh", {"steps": 12, "hidden": [7, 5, 6]}),
        ("relu", {"steps": 12, "hidden": [9]}),
    ],
)
@pytest.mark.parametrize("tiles", [1, 4])
def test_agrees_with_autograd_and_torch_adam_in_float64(name: str, changes: dict, tiles: int) -> None:
    recipe = load_recipe(name, changes)
    initial, x, y = problem(recipe, 3)
    initial, x, y = initial.double(), x.double(), y.double()
    spec = recipe.spec(2, 1)
    step = make_step(recipe, spec, compiled=False, tiles=tiles)
    state = FitState.start(WeightBatch(initial, spec))
    state.active, state.loss = state.active.double(), state.loss.double()
    low, high = recipe.value_range
    fitter = BatchedFitter(recipe, spec, x, "eager")
    xs, ys = (values.mT.chunk(tiles, dim=-1) for values in (x, low + (high - low) * y))
    assert len(xs) == tiles
    for rates in fitter._rates().double():
        step(state, list(xs), list(ys), rates)
    expected = torch.stack([reference(recipe, i, x, v) for i, v in zip(initial, y, strict=True)])
    assert (state.packed() - expected).abs().max() < 1e-6  # float32 learning rates


def test_stops_each_network_at_its_psnr() -> None:
    recipe = load_recipe("siren", {"steps": 200, "stop_psnr": 15.0})
    initial, x, y = problem(recipe, 4)
    stopped = BatchedFitter(recipe, recipe.spec(2, 1), x, "eager").fit(initial, y)
    assert ((stopped.first_quality >= 15.0) & (stopped.first_quality < 17.0)).all()
    endless = load_recipe("siren", {"steps": 200, "stop_psnr": None})
    assert (BatchedFitter(endless, endless.spec(2, 1), x, "eager").fit(initial, y).first_quality > 20).all()


@pytest.mark.parametrize("name", ["dwsnets", "quick"])
def test_bits_do_not_depend_on_the_company(name: str) -> None:
    recipe = load_recipe(name, {"steps": 30})
    initial, x, y = problem(recipe, 50)
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), x, "eager")
    together = fitter.fit(initial, y)
    for rows in ([7], [3, 40, 7], list(range(20, 50))):
        apart = fitter.fit(initial[rows], y[rows])
        assert torch.equal(apart.params, together.params[rows])


def test_divergence_is_seen() -> None:
    recipe = load_recipe("siren", {"steps": 30, "learning_rate": 1e38, "schedule": "constant"})
    initial, x, y = problem(recipe, 4)
    assert not BatchedFitter(recipe, recipe.spec(2, 1), x, "eager").fit(initial, y).ok.any()


def test_psnr_is_that_of_the_stored_network() -> None:
    recipe = load_recipe("siren", {"steps": 20})
    initial, x, y = problem(recipe, 2)
    fitted = BatchedFitter(recipe, recipe.spec(2, 1), x, "eager").fit(initial, y)
    error = (evaluate(WeightBatch(fitted.params, recipe.spec(2, 1)), x) - y).square().mean((1, 2))
    assert torch.allclose(fitted.first_quality, -10 * error.log10())


def test_mode_and_block_depend_on_the_work_alone() -> None:
    recipe = RECIPES["dwsnets"]
    spec = recipe.spec(2, 1)
    assert choose_mode(recipe, spec, 3300, 784) == "compiled"
    assert choose_mode(recipe, spec, 100, 64) == "eager"
    assert (block_size(spec, 784), block_size(spec, 64), block_size(spec, 10**6)) == (16, 64, 8)
    assert (block_size(spec, 784, "cuda"), block_size(spec, 10**6, "cuda")) == (256, 8)
    assert [tile_count(spec, 784, 16), tile_count(spec, 4096, 8), tile_count(spec, 16384, 8)] == [1, 4, 16]
    assert tile_count(spec, 4099, 8) == 1  # a prime number of points
    assert tile_count(spec, 4096, 8, "cuda") == 1


def test_fused_sine_and_cosine() -> None:
    x = torch.linspace(-100, 100, 200_001)
    sine, cosine = sincos(x)
    assert (sine - x.double().sin()).abs().max() < 3e-7
    assert (cosine - x.double().cos()).abs().max() < 3e-7
    far = torch.linspace(-3000, 3000, 100_001)
    assert (sincos(far)[0] - far.double().sin()).abs().max() < 1e-5


@pytest.mark.long
def test_compiled_agrees_with_eager() -> None:
    recipe = load_recipe("dwsnets", {"steps": 50})
    initial, x, y = problem(recipe, 20)
    fits = {}
    for mode in ("eager", "compiled"):
        fitter = BatchedFitter(recipe, recipe.spec(2, 1), x, mode)
        fitter.compile()
        fits[mode] = fitter.fit(initial, y)
        apart = fitter.fit(initial[5:7], y[5:7])
        assert torch.equal(apart.params, fits[mode].params[5:7])
    assert (fits["eager"].params - fits["compiled"].params).abs().max() < 1e-3
    assert (fits["eager"].first_quality - fits["compiled"].first_quality).abs().max() < 0.05


@pytest.mark.long
def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    torch._dynamo.reset()
    monkeypatch.setenv("PATH", str(tmp_path))  # a machine without g++
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    recipe = load_recipe("siren", {"hidden": [6, 5]})
    fitter = BatchedFitter(recipe, recipe.spec(2, 1), load_source("digits").coordinates(), "compiled")
    with pytest.raises(RecipeError, match=r"there is no working compiler.*mode 'eager'"):
        fitter.compile()


@pytest.mark.parametrize("points", [(80, 2), (1, 80, 3)], ids=["shared points", "points of each"])
@pytest.mark.parametrize("per_step", [None, 16])
def test_what_is_compiled_fits_what_is_fitted(points: tuple[int, ...], per_step: int | None) -> None:
    """With torch's compiler switched off, a fault of ours cannot be taken for a compiler that does not work."""
    recipe = load_recipe("siren", {"hidden": [4], "steps": 5, "points_per_step": per_step})
    coordinates = 2 * torch.rand(points, generator=torch.Generator().manual_seed(0)) - 1
    spec = recipe.spec(points[-1], 1)
    own = coordinates.expand(3, -1, -1) if len(points) == 3 else None
    initial = initialise(recipe, spec, 0, [(i, 0, 0) for i in range(3)])
    fits = []
    for mode in ("eager", "compiled"):
        fitter = BatchedFitter(recipe, spec, coordinates, mode)
        with torch.compiler.set_stance("force_eager"):
            fitter.compile()
            fits.append(fitter.fit(initial, torch.zeros(3, 80, 1), own))
        assert (fitter.compile_seconds is not None) == (mode == "compiled")
    assert torch.allclose(fits[0].params, fits[1].params, atol=1e-6)
