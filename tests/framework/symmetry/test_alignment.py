"""Recovery of hidden elements on fitted networks, brute-force optima, and closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from weightspace.batch import WeightBatch
from weightspace.errors import SpecError
from weightspace.layers import Convolution
from weightspace.network import evaluate, hidden_outputs
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GROUPS, GroupElement, align, canonicalise, resolve_group, squared_distance
from weightspace.symmetry.descent import Descent
from weightspace.symmetry.matching import Overlaps, best_score, best_sign_and_phase, cases
from weightspace.symmetry.scales import closest_scales, unit_scales

ACTIVATIONS = ("sine", "tanh", "relu")
CASES = [
    (activation, group)
    for activation in ACTIVATIONS
    for group in GROUPS
    if set(group.split("+")) <= NetworkSpec((1, 1, 1), activation).symmetries
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: WeightBatch, share: float) -> torch.Tensor:
    """Normal noise of a share of each tensor's spread, never more than four times it."""
    draws = torch.randn(batch.params.shape, generator=generator(9), dtype=torch.float64).clamp(-4, 4)
    changed = batch.replace(params=draws)
    for own, drawn in zip((*batch.weights, *batch.biases), (*changed.weights, *changed.biases), strict=True):
        drawn *= share * own.flatten(1).std(1, correction=0).reshape(-1, *[1] * (own.ndim - 1))
    return changed.params


@pytest.mark.parametrize("widths", [(2, 32, 32, 1), (3, 32, 32, 32, 1)])
@pytest.mark.parametrize(("activation", "group"), CASES)
def test_a_hidden_element_is_recovered_twenty_times_of_twenty(fitted, widths, activation: str, group: str) -> None:
    original = fitted(widths, activation)
    disturbance = noise(original, 0.01)
    noisy = original.replace(params=original.params + disturbance)
    hidden = GroupElement.random(noisy, resolve_group(group, noisy.spec), generator(1), max_phase=3, max_scale=3)
    found = align(original, hidden.apply(noisy), group)
    recovered = found.apply(hidden.apply(noisy))
    round_trip = found.after(hidden)
    for order in round_trip.orders:
        assert torch.equal(order, torch.arange(32).expand(20, 32)), "20 of 20"
    if "scale" not in group:
        assert torch.allclose(recovered.params, noisy.params, atol=1e-9), "back to the noise exactly"
        return
    # the scale that is closest to the original is off by its share of the noise
    left = original.replace(params=recovered.params - original.params)
    for own, rest in zip((*original.weights, *original.biases), (*left.weights, *left.biases), strict=True):
        sigma = 0.01 * own.flatten(1).std(1, correction=0).reshape(-1, *[1] * (own.ndim - 1))
        assert (rest.abs() <= 5 * sigma + 0.01 * own.abs()).all()
    assert (squared_distance(original, recovered) <= squared_distance(original, noisy) * 1.0001).all()


@pytest.mark.parametrize(("activation", "group"), CASES)
def test_different_networks_come_closer_and_keep_their_functions(fitted, activation: str, group: str) -> None:
    first = fitted((2, 32, 32, 1), activation)
    second = first.replace(params=first.params.roll(1, 0))
    aligned = align(first, second, group).apply(second)
    assert (squared_distance(first, aligned) < squared_distance(first, second)).all()
    x = torch.rand(30, 2, dtype=torch.float64) * 2 - 1
    assert (evaluate(aligned, x) - evaluate(second, x)).abs().max() < 1e-9


@pytest.mark.parametrize(("activation", "group"), [case for case in CASES if "scale" not in case[1]])
def test_further_sweeps_never_go_away(random_batch, activation: str, group: str) -> None:
    first = random_batch((2, 12, 12, 12, 1), activation, count=20)
    second = first.replace(params=first.params.roll(1, 0))
    found = [squared_distance(first, align(first, second, group, sweeps=n).apply(second)) for n in (1, 2, 3, 6)]
    assert all((after <= before + 1e-9).all() for before, after in itertools.pairwise(found))
    assert (found[-1] < found[0]).any()


@pytest.mark.parametrize(("activation", "group"), [case for case in CASES if "scale" not in case[1]])
def test_one_layer_is_solved_exactly(random_batch, activation: str, group: str) -> None:
    """With one hidden layer the assignment is the whole problem: every element is tried by brute force."""
    first = random_batch((2, 3, 2), activation, count=4)
    second = first.replace(params=first.params.roll(1, 0))
    found = squared_distance(first, align(first, second, group).apply(second))
    x = torch.rand(20, 2, dtype=torch.float64, generator=generator())
    from_outputs = align(first, second, group, coordinates=x)
    assert torch.allclose(squared_distance(first, from_outputs.apply(second)), found), (
        "the second sweep looks at weights"
    )
    signs = [-1.0, 1.0] if "sign" in group else [1.0]
    phases = [-2.0, -1.0, 0.0, 1.0, 2.0] if "phase" in group else [0.0]
    best = torch.full((4,), math.inf, dtype=torch.float64)
    for order in itertools.permutations(range(3)):
        for choice in itertools.product(itertools.product(signs, phases), repeat=3):
            sign, phase = (torch.tensor(part, dtype=torch.float64).expand(4, 3) for part in zip(*choice, strict=True))
            element = GroupElement((torch.tensor(order).expand(4, 3),), signs=(sign,), phases=(phase,))
            if "sign" not in group:
                element = GroupElement(element.orders)
            elif "phase" not in group:
                element = GroupElement(element.orders, element.signs)
            best = torch.minimum(best, squared_distance(first, element.apply(second)))
    assert torch.allclose(found, best, atol=1e-9)


def test_cases_are_half_the_squared_distance(random_batch) -> None:
    """The score of a pair and a case, against the distance of the moved neuron, up to a constant of the pair."""
    g, omega = generator(), 7.0
    w1, w2, c1, c2 = (torch.randn(1, 1, 4, generator=g, dtype=torch.float64) for _ in range(4))
    b1, b2 = torch.randn(2, 1, 1, 1, generator=g, dtype=torch.float64)
    overlaps = Overlaps((w1 * w2).sum(2, keepdim=True), (c1 * c2).sum(2, keepdim=True), b1, b2)
    differences = []
    for sign, parity, score in cases(overlaps, {"permutation", "sign", "phase"}, omega):
        ks = [k for k in range(-40, 41) if k % 2 == parity]
        bias = min(abs(float(b1 - sign * b2) - k * math.pi / omega) for k in ks) ** 2
        gain = sign * (-1) ** parity
        whole = float((w1 - sign * w2).square().sum() + (c1 - gain * c2).square().sum()) + bias
        differences.append(float(score) + whole / 2)
    assert differences == pytest.approx([differences[0]] * 4)
    signs, phases = best_sign_and_phase(overlaps.matched(torch.zeros(1, 1).long()), {"sign", "phase"}, omega)
    assert {float(signs.abs()), float(phases % 1)} == {1.0, 0.0}


@pytest.mark.parametrize("group", [{"sign"}, {"sign", "phase"}, {"phase"}, set()])
@pytest.mark.parametrize("outgoing", [True, False])
def test_the_best_score_is_that_of_the_best_case(group: set[str], outgoing: bool) -> None:
    """Up to a constant, for all pairs of neurons."""
    bias1, bias2, inner, outer = (
        torch.randn(2, *shape, generator=generator(), dtype=torch.float64) for shape in ((5, 1), (1, 5), (5, 5), (5, 5))
    )
    overlaps = Overlaps(inner, outer if outgoing else None, bias1, bias2)
    best = torch.stack([case.score for case in cases(overlaps, group, 7.0)]).amax(0)
    difference = best_score(overlaps, group, 7.0) - best
    assert (difference - difference.mean()).abs().max() < 1e-12


@pytest.mark.parametrize(("activation", "group"), CASES)
def test_blocks_of_pairs_change_nothing(
    random_batch, monkeypatch: pytest.MonkeyPatch, activation: str, group: str
) -> None:
    first = random_batch((2, 7, 5, 1), activation, count=11)
    second = first.replace(params=first.params.roll(1, 0))
    whole = align(first, second, group).apply(second)
    monkeypatch.setattr("weightspace.symmetry.alignment.BLOCK_ENTRIES", 4 * 7**2)
    monkeypatch.setattr("weightspace.symmetry.alignment.FEWEST_ENTRIES", 1)
    assert (align(first, second, group).apply(second).params - whole.params).abs().max() < 1e-9


@pytest.mark.parametrize("group", ["auto", "permutation"])
def test_the_number_of_threads_changes_no_bit(fitted, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    monkeypatch.setattr("weightspace.symmetry.alignment.FEWEST_ENTRIES", 1)
    first = fitted((2, 32, 32, 1), "sine").to(dtype=torch.float32)
    second, before = first.replace(params=first.params.roll(1, 0)), torch.get_num_threads()
    results: list[torch.Tensor] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found = align(first, second, group, restarts=1, generator=generator()).apply(second)
            assert torch.get_num_threads() == threads, "as before the call"
            results.append(found.params)
            assert torch.equal(found.params, results[0])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_autocast_changes_no_bit(random_batch, activation: str) -> None:
    batch = random_batch((2, 8, 7, 1), activation, count=12).to(dtype=torch.float32)
    first, second = batch[:6], batch[6:]
    with torch.autocast("cpu", torch.bfloat16):
        found = align(first, second).apply(second)
    assert torch.equal(found.params, align(first, second).apply(second).params)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_restarts_keep_the_closest(fitted, activation: str) -> None:
    first = fitted((2, 32, 32, 1), activation)
    second = first.replace(params=first.params.roll(1, 0))
    plain = squared_distance(first, align(first, second).apply(second))
    again = align(first, second, restarts=8, generator=generator(3))
    repeated = align(first, second, restarts=8, generator=generator(3))
    assert torch.equal(again.apply(second).params, repeated.apply(second).params)
    found = squared_distance(first, again.apply(second))
    assert (found <= plain + 1e-9).all()
    assert (found < plain - 1e-3).any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_start_from_outputs_recovers_too(fitted, activation: str) -> None:
    original = fitted((2, 32, 32, 1), activation)
    noisy = original.replace(params=original.params + noise(original, 0.001))
    hidden = GroupElement.random(noisy, noisy.spec.symmetries, generator(1))
    x = torch.cartesian_prod(*[torch.linspace(-1, 1, 12, dtype=torch.float64)] * 2)
    moved = hidden.apply(noisy)
    start = align(original, moved, sweeps=1, coordinates=x)
    for order, outputs in zip(start.after(hidden).orders, hidden_outputs(original, x), strict=True):
        alive = outputs.std(1) > 1e-3  # a ReLU neuron that is silent at all points has no output to be known by
        assert torch.equal(order[alive], torch.arange(32).expand(20, 32)[alive])
        assert alive.double().mean() > 0.5
    if activation != "relu":
        assert (
            squared_distance(original, align(original, moved, coordinates=x).apply(moved))
            < 1.01 * squared_distance(original, noisy)
        ).all()


def test_the_first_sweep_ends_closer_than_plain_descent(fitted) -> None:
    first = fitted((2, 32, 32, 1), "sine")
    second = first.replace(params=first.params.roll(1, 0))
    plain = Descent(first, second, None, first.spec.symmetries)
    for layer in [*plain.layers] * 4:
        plain.match(layer, outgoing=True)
    found = align(first, second, sweeps=4)
    assert (
        squared_distance(first, found.apply(second)).mean()
        < squared_distance(first, plain.element.apply(second)).mean()
    )


def test_scales(random_batch) -> None:
    batch = random_batch((2, 5, 4, 1), "relu")
    zeroed = batch.params.clone()
    zeroed[:, :2] = 0
    zeroed[:, 10] = 0  # the first neuron of the first layer: incoming weights and bias
    batch = batch.replace(params=zeroed)
    unit = GroupElement(GroupElement.identity(batch).orders, scales=unit_scales(batch)).apply(batch)
    norms = [torch.cat([w, b.unsqueeze(2)], 2).norm(dim=2) for w, b in zip(unit.weights, unit.biases, strict=True)]
    assert torch.allclose(norms[0][:, 1:], torch.ones(6, 4, dtype=torch.float64))
    assert torch.allclose(norms[1], torch.ones(6, 4, dtype=torch.float64))
    assert (unit_scales(batch)[0][:, 0] == 1).all(), "a zero neuron keeps its scale"
    other = batch.replace(params=batch.params.roll(1, 0))
    scales = closest_scales(batch, other, sweeps=30)
    best = GroupElement(GroupElement.identity(batch).orders, scales=scales).apply(other)
    for layer in range(2):  # at a minimum, no neuron gains by another scale
        for factor in (0.9, 0.99, 1.01, 1.1):
            for neuron in range(layer == 0, batch.spec.widths[layer + 1]):  # the zero neuron keeps its scale
                moved = [s.clone() for s in scales]
                moved[layer][:, neuron] *= factor
                trial = GroupElement(GroupElement.identity(batch).orders, scales=tuple(moved)).apply(other)
                assert (squared_distance(batch, trial) >= squared_distance(batch, best) - 1e-9).all()


@pytest.mark.parametrize("kernels", [None, (Convolution((3, 3)), None, None)])
def test_scales_never_end_farther_away_than_permutations_alone(kernels) -> None:
    spec = NetworkSpec((2, 16, 16, 3), "relu", kernels=kernels)
    draws = torch.randn(30, spec.num_params, generator=generator(), dtype=torch.float64)
    batch = WeightBatch(draws, spec)
    quiet = torch.logspace(-8, 0, 16, dtype=torch.float64)  # trained networks have nearly silent neurons, too
    for rows, bias in zip(batch.weights[:-1], batch.biases[:-1], strict=True):
        rows *= quiet.reshape(-1, *[1] * (rows.ndim - 2))
        bias *= quiet
    first, second = (WeightBatch(batch.params[rows], spec) for rows in (slice(15), slice(15, None)))
    for sweeps, restarts in ((2, 0), (5, 0), (2, 2)):
        apart = [
            squared_distance(first, align(first, second, group, sweeps, restarts, generator()).apply(second))
            for group in ("permutation", "permutation+scale")
        ]
        assert (apart[1] <= apart[0] * (1 + 1e-12)).all()


def test_bad_input_says_why(random_batch) -> None:
    first, second = random_batch((2, 3, 1)), random_batch((2, 4, 1))
    with pytest.raises(SpecError, match=r"takes pairs: found 6 networks 2-3-1 .* and 6 networks 2-4-1"):
        align(first, second)
    with pytest.raises(SpecError, match="sweeps must be at least 1"):
        align(first, first, sweeps=0)
    with pytest.raises(SpecError, match=r"one dtype on one device, found torch.float64 on cpu and torch.float32"):
        align(first, first.to(dtype=torch.float32))
    with pytest.raises(SpecError, match="finite parameters"):
        align(first, first.replace(params=first.params / 0))
    with pytest.raises(SpecError, match="sweeps must be a whole number"):
        align(first, first, sweeps=2.5)
    with pytest.raises(SpecError, match=r"tolerance must be in \[0, 1\)"):
        canonicalise(first, tolerance=-1)
    with pytest.raises(SpecError, match="pass a torch.Generator"):
        align(first, first, restarts=1)
    with pytest.raises(SpecError, match="scale is no symmetry"):
        align(first, first, "permutation+scale")
