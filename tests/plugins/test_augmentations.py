"""The contract for every first-party augmentation, moments, and cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from weightspace.augment import build_augmentations, find_augmentation
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GroupElement, align, pack_element, squared_distance, unpack_element
from weightspace.testing import parametrize_checks
from weightspace_plugins.geometry import Rotate, Scale, Translate, rotations_3d
from weightspace_plugins.labels import LabelSmoothing
from weightspace_plugins.mixing import Mix
from weightspace_plugins.mixup import MixUp, MixUpAligned, MixUpAlignedPermuted, MixUpPermuted, SelfMixUp
from weightspace_plugins.noise import Dropout, GaussianNoise, QuantileMask
from weightspace_plugins.symmetry import Permute, PhaseShift, PositiveScale, SignFlip

EVERY = [
    Rotate, Rotate(degrees="haar"), Translate, Scale,
    GaussianNoise, GaussianNoise(ramp_epochs=5), Dropout, Dropout(rescale=True), QuantileMask,
    Permute, SignFlip, PhaseShift, PhaseShift(multiples=4), PositiveScale, LabelSmoothing,
    MixUp, MixUpPermuted, MixUpAligned, MixUpAligned(group="permutation", alpha=0.3), MixUpAlignedPermuted,
    MixUpAligned(stored=True, p=0.5), MixUpAlignedPermuted(stored="mean"),
    SelfMixUp, SelfMixUp(augmentations=[{"gaussian_noise": {"ramp_epochs": 5}}]),
    SelfMixUp(augmentations=[{"gaussian_noise": {"scale": 0.3}}, "permute"]),
]  # fmt: skip


@parametrize_checks(*EVERY)
def test_contract(check) -> None:
    check()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_all_that_need_no_parameters_are_installed() -> None:
    names = [
        "rotate", "translate", "scale", "gaussian_noise", "dropout", "quantile_mask", "permute", "sign_flip",
        "phase_shift", "positive_scale", "label_smoothing", "mixup", "mixup_permuted", "mixup_aligned",
        "mixup_aligned_permuted", "self_mixup",
    ]  # fmt: skip
    assert {find_augmentation(name) for name in names} == {c for c in EVERY if isinstance(c, type)}
    assert len(names) == 16


@pytest.mark.parametrize("augmentation", [Rotate(180), Rotate("haar"), Translate(0.5), Scale(0.5)])
@pytest.mark.parametrize("widths", [(2, 5, 1), (3, 4, 6, 1)])
def test_input_space_ones_move_the_object(random_batch, augmentation, widths) -> None:
    batch = random_batch(widths)
    params = augmentation.sample(batch, generator())
    x = torch.rand(20, widths[0], dtype=torch.float64) * 2 - 1
    moved = evaluate(augmentation.apply(batch, params), x)
    assert (moved - evaluate(batch, augmentation.coordinates(x, params))).abs().max() < 1e-9
    assert (moved - evaluate(batch, x)).abs().max() > 1e-3
    for before, after in zip(batch.weights[1:], augmentation.apply(batch, params).weights[1:], strict=True):
        assert torch.equal(before, after), "only the first layer knows of the input"


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 3, 1)])
def test_rotations_are_proper_and_bounded(random_batch, widths) -> None:
    batch = random_batch(widths, count=4000)
    r = Rotate(degrees=40).sample(batch, generator())
    identity = torch.eye(widths[0], dtype=torch.float64)
    assert (r @ r.transpose(1, 2) - identity).abs().max() < 1e-12
    assert torch.allclose(torch.linalg.det(r), torch.ones(4000, dtype=torch.float64))
    angle = rotation_angles(r)
    assert angle.max() <= 40 + 1e-6
    assert float(angle.mean()) == pytest.approx(20, abs=1)


def rotation_angles(r: torch.Tensor) -> torch.Tensor:
    trace = r.diagonal(dim1=1, dim2=2).sum(1)
    return torch.acos(((trace - (r.shape[1] - 2)) / 2).clamp(-1, 1)).rad2deg()


def test_haar_is_uniform_over_all_rotations(random_batch) -> None:
    r = Rotate(degrees="haar").sample(random_batch((3, 3, 1), count=20_000), generator())
    assert torch.allclose(torch.linalg.det(r), torch.ones(20_000, dtype=torch.float64))
    assert float(rotation_angles(r).mean()) == pytest.approx(126.5, abs=0.5)
    assert r.mean(0).abs().max() < 0.02
    assert (r.square().mean(0) - 1 / 3).abs().max() < 0.01, "each axis goes everywhere alike"


@pytest.mark.parametrize(
    ("axis", "kept"), [("vertical", [0.0, 0, 1]), ([0, 2, 0], [0.0, 1, 0]), ((1, 1, 1), [1.0, 1, 1])]
)
@pytest.mark.parametrize("degrees", [40, "haar"])
def test_rotations_about_one_axis(random_batch, axis, kept, degrees) -> None:
    r = Rotate(degrees, axis=axis).sample(random_batch((3, 3, 1), count=4000), generator())
    line = torch.tensor(kept, dtype=torch.float64)
    assert torch.allclose(r @ line, line.expand(4000, 3), atol=1e-12)
    most = 180 if degrees == "haar" else degrees
    assert float(rotation_angles(r).mean()) == pytest.approx(most / 2, rel=0.05)
    assert rotation_angles(r).max() <= most + 1e-6


@pytest.mark.parametrize("axis", ["horizontal", [0, 0, 0], [1, 2], [1, 2, "z"], 3, None])
def test_an_axis_is_a_name_or_three_numbers(axis) -> None:
    with pytest.raises(AugmentationError, match="Rotate: axis .*any, vertical, or three numbers, not all 0"):
        Rotate(axis=axis)


def test_images_have_no_axis(random_batch) -> None:
    with pytest.raises(AugmentationError, match="axis vertical is of 3-D rotations, these networks have 2 inputs"):
        Rotate(axis="vertical").check(random_batch((2, 3, 1)).spec, None)


def test_a_quarter_turn_about_the_third_axis() -> None:
    axis, angle = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([math.pi / 2])
    assert torch.allclose(rotations_3d(axis, angle) @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6)


def test_shifts_and_factors_fill_their_ranges(random_batch) -> None:
    batch = random_batch((2, 3, 1), count=4000)
    shift = Translate(0.3).sample(batch, generator())
    assert float(shift.abs().max()) == pytest.approx(0.3, abs=1e-3)
    assert shift.mean(0).tolist() == pytest.approx([0, 0], abs=0.01)
    factor = Scale(0.2).sample(batch, generator())
    assert [float(factor.min()), float(factor.max())] == pytest.approx([0.8, 1.2], abs=1e-3)


def test_sign_flip_and_phase_shift_move_as_often_as_they_say(random_batch) -> None:
    batch = random_batch((2, 50, 1), count=100)
    flipped = SignFlip(probability=0.3)(batch, generator())
    assert float((flipped.biases[0] != batch.biases[0]).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(SignFlip(probability=0)(batch, generator()).params, batch.params)
    k = PhaseShift(multiples=2).sample(batch, generator())[0]
    assert [float((k == n).double().mean()) for n in range(-2, 3)] == pytest.approx([0.2] * 5, abs=0.02)
    assert set(k.unique().tolist()) == {-2, -1, 0, 1, 2}


def test_positive_scale_is_log_uniform(random_batch) -> None:
    factors = PositiveScale(factor=4).sample(random_batch((2, 50, 1), "relu", count=200), generator())[0]
    logs = factors.log() / math.log(4)
    assert [float(logs.min()), float(logs.max()), float(logs.mean())] == pytest.approx([-1, 1, 0], abs=0.02)
    assert float(logs.var()) == pytest.approx(1 / 3, abs=0.01)


def test_noise_has_the_spread_of_each_tensor_and_a_fresh_draw_per_entry() -> None:
    spec = NetworkSpec((2, 60, 50, 1), "tanh")
    scales = torch.ones(spec.num_params, dtype=torch.float64)
    scales[spec.weight_slices[1]] = 100
    params = torch.randn(30, spec.num_params, dtype=torch.float64, generator=generator()) * scales
    batch = WeightBatch(params, spec)
    added = GaussianNoise(scale=0.2)(batch, generator(1)).params - params
    changed = batch.replace(params=added)
    for w, d in zip((*batch.weights, *batch.biases[:-1]), (*changed.weights, *changed.biases[:-1]), strict=True):
        sigma = 0.2 * w.flatten(1).std(1, correction=0)
        scaled = d.flatten(1) / sigma[:, None]
        assert float(scaled.mean()) == pytest.approx(0, abs=4 / math.sqrt(scaled.numel()))
        assert float(scaled.std()) == pytest.approx(1, abs=4 / math.sqrt(scaled.numel()))
    assert torch.equal(changed.biases[-1], torch.zeros(30, 1, dtype=torch.float64)), "one entry has no spread"


def test_noise_has_a_factor_for_each_tensor(random_batch) -> None:
    batch, factors = random_batch((2, 30, 30, 2)), [0.0, 2.0, 1.0, 0.5, 0.0, 3.0]
    plain = batch.replace(params=GaussianNoise(0.2)(batch, generator()).params - batch.params)
    scaled = batch.replace(params=GaussianNoise(0.2, factors=factors)(batch, generator()).params - batch.params)
    pairs = zip((*plain.weights, *plain.biases), (*scaled.weights, *scaled.biases), strict=True)
    for factor, (one, other) in zip(factors, pairs, strict=True):
        assert torch.allclose(factor * one, other, atol=1e-12)


def test_as_many_factors_as_tensors(random_batch) -> None:
    message = r"factors are one for each of 6 tensors \(W_1, ..., b_1, ...\) of these networks, 2-5-4-3 .*; found 2"
    with pytest.raises(AugmentationError, match=message):
        GaussianNoise(factors=[1.0, 2.0]).check(random_batch((2, 5, 4, 3)).spec, None)


def test_dropout_leaves_survivors_alone(random_batch) -> None:
    batch = random_batch((2, 30, 30, 1), count=20)
    after = Dropout(probability=0.2)(batch, generator())
    dropped = after.params == 0
    assert float(dropped.double().mean()) == pytest.approx(0.2, abs=0.01)
    assert torch.equal(after.params[~dropped], batch.params[~dropped])
    rescaled = Dropout(probability=0.2, rescale=True)(batch, generator())
    assert torch.allclose(rescaled.params, after.params / 0.8)


def test_quantile_mask_drops_what_is_below_the_quantile(random_batch) -> None:
    batch = random_batch((2, 9, 7, 1))
    q = torch.tensor([0.0, 0.1, 0.25, 0.5, 0.9, 1.0], dtype=torch.float64)
    after = QuantileMask().apply(batch, q)
    for before, masked, share in zip(batch.params, after.params, q, strict=True):
        kept = before.abs() >= torch.quantile(before.abs(), share)
        assert torch.equal(masked, before * kept)
    draws = QuantileMask(q_max=0.4).sample(random_batch((1, 1, 1), count=4000), generator())
    assert [float(draws.max()), float(draws.mean())] == pytest.approx([0.4, 0.2], abs=0.01)


def test_label_smoothing_by_hand(random_batch) -> None:
    batch = random_batch((2, 3, 1), count=3)
    after = LabelSmoothing(smoothing=0.3)(batch, generator())
    expected = torch.full((3, 3), 0.1, dtype=torch.float64) + 0.7 * torch.eye(3, dtype=torch.float64)
    assert torch.allclose(after.targets, expected)
    assert torch.equal(after.params, batch.params)
    with pytest.raises(AugmentationError, match="LabelSmoothing: needs classes"):
        LabelSmoothing().check(batch.spec, "value")


def test_mixup_by_hand() -> None:
    spec = NetworkSpec((1, 1, 1), "relu")
    params = torch.tensor([[1.0, 0, 0, 2], [3.0, 4, 0, 0]])
    batch = WeightBatch(params, spec, torch.tensor([0, 2]), num_classes=3)
    mixed = MixUp().apply(batch, Mix(torch.tensor([1, 1]), torch.tensor([0.25, 0.5]), []))
    assert torch.allclose(mixed.params, torch.tensor([[2.5, 3, 0, 0.5], [3, 4, 0, 0]]))
    assert torch.allclose(mixed.targets, torch.tensor([[0.25, 0, 0.75], [0, 0, 1]]))
    mix = Mix(torch.tensor([1, 0]), torch.tensor([0.0, 1.0]), [])
    soft = MixUp().apply(batch.replace(targets=mixed.targets), mix)
    assert torch.allclose(soft.targets, mixed.targets[[1, 1]])


def test_mixup_of_regression_targets(random_batch) -> None:
    batch = random_batch((2, 3, 1), count=2).replace(targets=torch.tensor([[1.0], [3.0]]), num_classes=None)
    mix = Mix(torch.tensor([1, 0]), torch.tensor([0.25, 0.5], dtype=torch.float64), [])
    assert MixUp().apply(batch, mix).targets.tolist() == [[2.5], [2.0]]
    assert MixUp().apply(batch.replace(targets=torch.tensor([1.0, 3.0])), mix).targets.tolist() == [2.5, 2.0]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_lambda_is_beta_distributed(random_batch, alpha: float) -> None:
    mix = MixUp(alpha).sample(random_batch((1, 1, 1), count=20_000), generator())
    assert sorted(mix.partners.tolist()) == list(range(20_000))
    assert float(mix.lam.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(mix.lam.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_permuted_mixup_permutes_the_first_only(random_batch) -> None:
    batch = random_batch((2, 5, 4, 1))
    mix = MixUpPermuted().sample(batch, generator())
    alone = mix._replace(lam=torch.ones(6, dtype=torch.float64))
    assert torch.equal(MixUpPermuted().apply(batch, alone).params, GroupElement(tuple(mix.orders)).apply(batch).params)
    partner = mix._replace(lam=torch.zeros(6, dtype=torch.float64))
    assert torch.equal(MixUpPermuted().apply(batch, partner).params, batch.params[mix.partners])


@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_aligned_mixup_undoes_what_hides_a_copy(fitted, activation: str) -> None:
    """A batch of networks and hidden copies of them: mixed with its own copy, each stays the same function."""
    batch = fitted((2, 32, 32, 1), activation)
    hidden = GroupElement.random(batch, batch.spec.symmetries, generator(3)).apply(batch)
    both = batch.replace(params=torch.cat([batch.params, hidden.params]), targets=torch.arange(40) % 10, num_classes=10)
    partners = torch.cat([torch.arange(20, 40), torch.arange(20)])
    orders = [torch.rand(40, 32, generator=generator(4)).argsort(1) for _ in range(2)]
    mix = Mix(partners, torch.full((40,), 0.5, dtype=torch.float64), orders)
    x = torch.rand(50, 2, dtype=torch.float64) * 2 - 1
    tolerance = 1e-9 if activation != "relu" else 0.02  # the closest scale is not the hidden one exactly
    for augmentation in (MixUpAligned(), MixUpAlignedPermuted()):
        mixed = augmentation.apply(both, mix)
        assert (evaluate(mixed, x) - evaluate(both, x)).abs().max() < tolerance
    plain = MixUp().apply(both, mix)
    assert (evaluate(plain, x) - evaluate(both, x)).abs().max() > 0.1
    aligned, permuted = (a.apply(both, mix) for a in (MixUpAligned(), MixUpAlignedPermuted()))
    assert torch.equal(permuted.params, GroupElement(tuple(orders)).apply(aligned).params)
    if activation == "sine":
        blind = MixUpAligned(group="permutation").apply(both, mix)
        assert (evaluate(blind, x) - evaluate(both, x)).abs().max() > 0.1, "signs and phases were not seen"


def test_aligned_mixup_mixes_with_the_aligned_partner(random_batch) -> None:
    batch = random_batch((2, 8, 6, 1))
    mix = MixUpAligned().sample(batch, generator())
    partner = batch.select(mix.partners)
    aligned = align(batch, partner).apply(partner)
    expected = torch.lerp(aligned.params, batch.params, mix.lam[:, None])
    assert torch.equal(MixUpAligned().apply(batch, mix).params, expected)
    assert (squared_distance(batch, aligned) <= squared_distance(batch, partner)).all()


def test_self_mixup_keeps_the_target_and_mixes_with_itself(random_batch) -> None:
    batch = random_batch((2, 5, 1))
    after = SelfMixUp(augmentations=["sign_flip"])(batch, generator())
    assert torch.equal(after.targets, batch.targets)
    flipped = (after.biases[0].abs() < batch.biases[0].abs()) | (after.biases[0] == batch.biases[0])
    assert flipped.all(), "a mixture of b and b or -b"
    copy, lam = SelfMixUp().sample(batch, generator())
    assert torch.allclose(
        SelfMixUp().apply(batch, (copy, lam)).params, lam[:, None] * batch.params + (1 - lam[:, None]) * copy
    )
    with pytest.raises(AugmentationError, match="must leave targets and other networks alone, augmentation 'mixup'"):
        SelfMixUp(augmentations=["mixup"])
    with pytest.raises(AugmentationError, match="valid for relu networks only"):
        SelfMixUp(augmentations=["positive_scale"]).check(batch.spec, "class")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"rotate": {"degrees": "har"}},
            r"'rotate' of weightspace .*: degrees must be in 0..180, or 'haar', found 'har'",
        ),
        ({"translate": {"scale": -1}}, "scale must be in 0..2, found -1"),
        ({"scale": {"scale": 1}}, "scale must be in 0..1, but not 1, found 1"),
        ({"gaussian_noise": {"scale": float("nan")}}, "scale must be in 0..10, found nan"),
        ({"gaussian_noise": {"ramp_epochs": 2.5}}, "ramp_epochs must be a whole number, in 0..1,000,000, found 2.5"),
        ({"dropout": {"probability": 1}}, "probability must be in 0..1, but not 1, found 1"),
        ({"quantile_mask": {"q_max": 2}}, "q_max must be in 0..1, found 2"),
        ({"sign_flip": {"probability": "x"}}, "probability must be in 0..1, found 'x'"),
        ({"phase_shift": {"multiples": -1}}, "multiples must be in 0..1,000, found -1"),
        ({"positive_scale": {"factor": 0.5}}, "factor must be in 1..1000, found 0.5"),
        ({"label_smoothing": {"smoothing": 1.5}}, "smoothing must be in 0..1, found 1.5"),
        ({"mixup": {"alpha": 0}}, "alpha must be in 0..1000, but not 0, found 0"),
        ({"mixup_permuted": {"p": True}}, "p must be in 0..1, found True"),
        ({"mixup_aligned": {"group": "sign"}}, "group must be one of auto, permutation, .*, found 'sign'"),
        ({"mixup_aligned_permuted": {"sweeps": 0}}, "sweeps must be in 1..100, found 0"),
        ({"dropout": {"rescale": "off"}}, "rescale must be true or false, found 'off'"),
        ({"self_mixup": {"augmentations": "permute"}}, "augmentations must be a list of one or more, found 'permute'"),
        ({"self_mixup": {"augmentations": []}}, r"must be a list of one or more, found \[\]"),
        ({"self_mixup": {"alpha": -2}}, "alpha must be in 0..1000, but not 0, found -2"),
    ],
)
def test_values_out_of_range_are_refused(entry, message: str) -> None:
    with pytest.raises(AugmentationError, match=message):
        build_augmentations([entry])


@pytest.mark.parametrize(
    ("augmentation", "widths", "activation", "message"),
    [
        ("sign_flip", (2, 3, 1), "relu", "valid for sine/tanh networks only"),
        ("phase_shift", (2, 3, 1), "tanh", "valid for sine networks only"),
        ("positive_scale", (2, 3, 1), "sine", "valid for relu networks only"),
        ({"mixup_aligned": {"group": "permutation+sign"}}, (2, 3, 1), "relu", "sign is no symmetry of networks"),
        ("rotate", (1, 3, 1), "sine", "these networks have 1"),
    ],
)
def test_what_cannot_work_is_refused(random_batch, augmentation, widths, activation: str, message: str) -> None:
    (built,) = build_augmentations([augmentation])
    with pytest.raises(AugmentationError, match=message):
        built.check(random_batch(widths, activation).spec, "class")


@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_stored_mixup_is_mixing_in_the_frame_of_the_reference(random_batch, activation: str) -> None:
    """For elements g of any kind: g(mixed) = lam g v1 + (1 - lam) g' v2, and what is mixed keeps its coordinates."""
    batch = random_batch((2, 7, 5, 2), activation, count=20)
    element = GroupElement.random(batch, batch.spec.symmetries, generator(5), max_phase=4)
    element = unpack_element(pack_element(element), batch.spec, torch.float64)  # scales become float32
    framed = batch.replace(frame=pack_element(element))
    mix = MixUpAligned().sample(batch, generator())
    mixed = MixUpAligned(stored=True).apply(framed, mix)
    moved = element.apply(batch).params
    expected = torch.lerp(moved[mix.partners], moved, mix.lam[:, None])
    assert (element.apply(mixed).params - expected).abs().max() < 1e-9
    assert torch.equal(mixed.frame, framed.frame), "it is still aligned"
    x = torch.rand(9, 2, dtype=torch.float64)
    alone = MixUpAligned(stored=True).apply(framed, mix._replace(lam=torch.zeros_like(mix.lam)))
    assert (evaluate(alone, x) - evaluate(batch, x)[mix.partners]).abs().max() < 1e-9
    kept = MixUpAligned(stored=True).apply(framed, mix._replace(lam=torch.ones_like(mix.lam)))
    assert torch.equal(kept.params, batch.params)
    orders = MixUpAlignedPermuted().sample(batch, generator(1)).orders
    permuted = MixUpAlignedPermuted(stored=True).apply(framed, mix._replace(orders=orders))
    assert torch.equal(permuted.params, GroupElement(tuple(orders)).apply(mixed).params)


@pytest.mark.parametrize("augmentation", [MixUp(), MixUpPermuted(), SelfMixUp()])
def test_what_is_mixed_without_alignment_has_no_frame(random_batch, augmentation) -> None:
    batch = random_batch(count=20)
    element = GroupElement.random(batch, batch.spec.symmetries, generator(5))
    assert augmentation(batch.replace(frame=pack_element(element)), generator()).frame is None


@pytest.mark.parametrize("activation", ["sine", "tanh"])
def test_stored_mixup_is_pairwise_mixup_where_the_pairs_agree_on_a_frame(fitted, activation: str) -> None:
    """Copies of one network, hidden by random symmetries and noise: both alignments are the same to rounding."""
    one = fitted((2, 32, 32, 1), activation)[0]
    copies = one.replace(
        params=one.params.expand(20, -1) + 1e-3 * one.params.std() * torch.randn(20, one.params.shape[1])
    )
    hidden = GroupElement.random(copies, one.spec.symmetries, generator(3)).apply(copies)
    batch = hidden.replace(targets=torch.arange(20) % 10, num_classes=10)
    frame = pack_element(align(batch.replace(params=one.params.expand(20, -1)), batch))
    mix = MixUpAligned().sample(batch, generator())
    stored = MixUpAligned(stored=True).apply(batch.replace(frame=frame), mix)
    assert (stored.params - MixUpAligned().apply(batch, mix).params).abs().max() < 1e-9


def test_stored_mixup_says_what_it_lacks(random_batch) -> None:
    batch = random_batch()
    with pytest.raises(AugmentationError, match="MixUpAligned: the batch carries no stored alignment"):
        MixUpAligned(stored=True)(batch, seed=0)
    framed = batch.replace(frame=pack_element(GroupElement.random(batch, batch.spec.symmetries, generator())))
    with pytest.raises(AugmentationError, match="whatever moves neurons drops it"):
        MixUpAligned(stored=True)(Permute()(framed, seed=0), seed=0)
    for options in ({"group": "permutation"}, {"sweeps": 3}):
        with pytest.raises(AugmentationError, match="group and sweeps have no effect with stored"):
            MixUpAligned(stored=True, **options)
    for stored in (1, "", None):
        with pytest.raises(AugmentationError, match="stored must be true, false or the name of an alignment, found"):
            MixUpAligned(stored=stored)
