"""Compositions as the framework sees them: exactness, attributes, checks before training, errors."""

from __future__ import annotations

import pytest
import torch
from weightspace.augment import AugmentationChain, build_augmentations
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace.network import evaluate
from weightspace_plugins.compose import OneOf, Repeat, SomeOf
from weightspace_plugins.geometry import Rotate, Translate
from weightspace_plugins.noise import GaussianNoise
from weightspace_plugins.symmetry import SignFlip

STORED = {"mixup_aligned": {"stored": True}}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(one: WeightBatch, other: WeightBatch) -> bool:
    return torch.equal(one.params, other.params) and torch.equal(one.targets, other.targets)


@pytest.mark.parametrize(
    ("of", "exact"),
    [
        (["permute", "sign_flip", "label_smoothing"], "function"),
        (["rotate", "translate", {"scale": {"p": 0.5}}, "phase_shift"], "input"),
        (["rotate", "permute", "dropout"], None),
        ([{"one_of": ["permute", "sign_flip"]}, {"repeat": {"of": "rotate", "times": 2}}], "input"),
    ],
)
def test_what_holds_for_all_parts_holds_exactly(random_batch, of, exact) -> None:
    batch = random_batch((2, 6, 5, 2), count=64)
    x = 2 * torch.rand(30, 2, dtype=torch.float64) - 1
    for composed in (OneOf(of), SomeOf([1, len(of)], of), Repeat(of, 2)):
        assert composed.exact == exact
        if exact is None:
            continue
        draw = composed.sample(batch, generator(3))
        points = composed.coordinates(x, draw) if exact == "input" else x
        after = evaluate(composed.apply(batch, draw), x)
        assert (after - evaluate(batch, points)).abs().max() < 1e-9
        assert exact == "function" or (after - evaluate(batch, x)).abs().max() > 1e-3


def test_the_order_of_moves_is_that_of_the_coordinates(random_batch) -> None:
    """Rotating, then shifting is not shifting, then rotating."""
    batch, x = random_batch(count=5), 2 * torch.rand(30, 2, dtype=torch.float64) - 1
    composed = Repeat([Rotate(180), Translate(1.0)], 1)
    draw = composed.sample(batch, generator())
    (_, _, rotation), (_, _, shift) = draw.steps
    expected = (x + shift.unsqueeze(1)) @ rotation.transpose(1, 2)
    assert torch.allclose(composed.coordinates(x, draw), expected, atol=1e-12)


def test_attributes_are_those_of_the_parts() -> None:
    composed = OneOf(["sign_flip", "mixup"])
    assert composed.activations == SignFlip.activations
    assert (composed.uses_labels, composed.mixes, composed.moves_neurons) == (True, True, True)
    assert OneOf(["sign_flip", "positive_scale"]).activations == frozenset()
    still = SomeOf(1, ["rotate", {"permute": {"p": 0}}, "gaussian_noise"])
    assert (still.uses_labels, still.mixes, still.moves_neurons, still.exact) == (False, False, False, None)
    assert not OneOf([{"permute": {"p": 0}}, "label_smoothing"]).changes_networks, "contrastive training refuses it"
    assert not OneOf(["permute"], p=0).changes_networks
    assert OneOf(["permute", STORED]).stored_alignment is True


def test_a_chain_repeats_itself_and_paired_networks_stay_themselves(random_batch) -> None:
    batch = random_batch(count=64).replace(targets=torch.eye(64), num_classes=64)
    entries = [{"one_of": ["sign_flip", "mixup"]}, {"some_of": {"count": 2, "of": ["rotate", "dropout", "scale"]}}]
    for paired in (False, True):
        chains = [AugmentationChain(build_augmentations(entries), 5, paired) for _ in range(2)]
        one, again = (chain(batch, epoch=2, draw=1) for chain in chains)
        assert same(one, again)
        assert not same(one, chains[0](batch, epoch=3, draw=1))
        assert (one.targets.diagonal().min() >= 0.5) == paired


@pytest.mark.parametrize(
    ("entry", "activation", "messages"),
    [
        (
            {"one_of": ["permute", "sign_flip"]},
            "relu",
            ["'one_of'", "'sign_flip'", "valid for sine/tanh networks"],
        ),
        (
            {"some_of": {"count": 1, "of": ["rotate", {"repeat": {"of": "positive_scale", "times": 2}}]}},
            "sine",
            ["'some_of'", "'repeat'", "'positive_scale'", "valid for relu networks only, these are 2-3-1 sine"],
        ),
        ({"self_mixup": {"augmentations": ["positive_scale"]}}, "tanh", ["'self_mixup'", "'positive_scale'", "relu"]),
        (
            {"one_of": [{"mixup_aligned": {"group": "permutation+sign"}}]},
            "relu",
            ["'one_of'", "'mixup_aligned'", "sign"],
        ),
    ],
)
def test_a_part_that_is_not_valid_is_named_within_its_composition(random_batch, entry, activation, messages) -> None:
    with pytest.raises(AugmentationError, match=".*".join(messages)):
        AugmentationChain(build_augmentations([entry]), 0).check(random_batch((2, 3, 1), activation).spec, "class")


def test_labels_have_to_be_there_for_a_part(random_batch) -> None:
    with pytest.raises(AugmentationError, match="'one_of' .*'mixup' .*: needs targets"):
        AugmentationChain(build_augmentations([{"one_of": ["permute", "mixup"]}]), 0).check(random_batch().spec, None)
    with pytest.raises(AugmentationError, match="'one_of' .*'label_smoothing' .*: needs classes"):
        AugmentationChain(build_augmentations([{"one_of": ["label_smoothing"]}]), 0).check(random_batch().spec, "value")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"one_of": ["permute", STORED]}, STORED], "'mixup_aligned' .*'one_of' .* before it, moves their neurons"),
        (["permute", {"one_of": ["rotate", STORED]}], "'one_of' .*'permute' .* before it, moves their neurons"),
        (
            [{"some_of": {"count": 2, "of": ["permute", STORED]}}],
            "'some_of' .*'mixup_aligned' .*'permute' .* before it",
        ),
        ([{"repeat": {"of": [STORED, "permute"], "times": 2}}], "'repeat' .*'mixup_aligned' .*'permute' .* before it"),
        ([{"one_of": [STORED, {"mixup_aligned": {"stored": "mean"}}]}], "'one_of' .*True and 'mean' are asked for"),
    ],
)
def test_a_stored_alignment_is_not_used_after_neurons_have_moved(random_batch, entries, message: str) -> None:
    with pytest.raises(AugmentationError, match=message):
        AugmentationChain(build_augmentations(entries), 0).check(random_batch().spec, "class")


def test_where_a_stored_alignment_may_be_used(random_batch) -> None:
    for entry in (
        {"one_of": ["permute", STORED]},
        {"some_of": {"count": 2, "of": [STORED, "permute"]}},
        {"repeat": {"of": [STORED, "permute"], "times": 1}},
        {"repeat": {"of": STORED, "times": 3}},
    ):
        chain = AugmentationChain(build_augmentations(["gaussian_noise", entry]), 0)
        chain.check(random_batch().spec, "class")
        assert chain.stored_alignment is True


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"one_of": []}, r"'one_of' of weightspace .*: of must be a list of one or more, found \[\]"),
        ({"one_of": {"of": "permute"}}, "of must be a list of one or more, found 'permute'"),
        ("one_of", "'one_of' .*missing a required argument: 'of'; its parameters: of, weights=None, p=1.0"),
        ({"one_of": ["permut"]}, "'one_of' .*: unknown augmentation 'permut': did you mean 'permute'"),
        ({"one_of": [{"rotate": {"angle": 3}}]}, "'one_of' .*'rotate' .*angle.*its parameters: degrees=30.0"),
        ({"one_of": [{"rotate": {"degrees": 300}}]}, r"'one_of' .*'rotate' .*: degrees must be in 0\.\.180, found 300"),
        ({"one_of": [{"rotate": {}, "scale": {}}]}, "an augmentation is a name or"),
        ({"one_of": [None]}, r"an augmentation is a name or \{name: \{parameter: value\}\}, found None"),
        ({"one_of": {"of": ["permute"], "weights": [1, 2]}}, r"a list of 1 positive numbers, one for each .*\[1, 2\]"),
        ({"one_of": {"of": ["permute", "scale"], "weights": [1, -1]}}, r"weights must be a list of 2 pos.*\[1, -1\]"),
        ({"one_of": {"of": ["permute", "scale"], "weights": [0, 0]}}, r"weights must be a list .* found \[0, 0\]"),
        ({"one_of": {"of": ["permute"], "weights": [float("inf")]}}, r"weights must be a list .* found \[inf\]"),
        ({"one_of": {"of": ["permute"], "weights": 1}}, "weights must be a list .* found 1"),
        ({"one_of": {"of": ["permute"], "p": 2}}, r"p must be in 0\.\.1, found 2"),
        ({"some_of": {"count": 2, "of": ["permute"]}}, r"count must be a whole number in 1\.\.1, .* found 2"),
        ({"some_of": {"count": 0, "of": ["permute"]}}, "count must be a whole number .* found 0"),
        ({"some_of": {"count": [1, 3], "of": ["permute", "scale"]}}, r"within 0\.\.2, found \[1, 3\]"),
        ({"some_of": {"count": [2, 1], "of": ["permute", "scale"]}}, r"count must be .* found \[2, 1\]"),
        ({"some_of": {"count": [0, 0], "of": ["permute"]}}, r"count must be .* found \[0, 0\]"),
        ({"some_of": {"count": [1], "of": ["permute"]}}, r"count must be .* found \[1\]"),
        ({"some_of": {"count": True, "of": ["permute"]}}, "count must be .* found True"),
        ({"some_of": ["permute"]}, r"'some_of': parameters must be \{name: value\}, found \['permute'\]"),
        ({"repeat": {"of": "permute", "times": 0}}, r"times must be in 1\.\.1,000, found 0"),
        ({"repeat": {"of": [], "times": 2}}, r"of must be a list of one or more, found \[\]"),
        ({"repeat": {"of": 3, "times": 2}}, "an augmentation is a name or .* found 3"),
    ],
)
def test_bad_entries_say_why(entry, message: str) -> None:
    with pytest.raises(AugmentationError, match=message) as caught:
        build_augmentations([entry])
    assert "\n" not in str(caught.value)


def test_instances_are_parts_in_python() -> None:
    noise = GaussianNoise(0.3)
    assert OneOf([noise, "rotate"]).parts[0] is noise
    assert repr(OneOf([SignFlip()], p=0.5)) == "OneOf(of=[SignFlip(probability=0.5, p=1.0)], weights=None, p=0.5)"
    with pytest.raises(AugmentationError, match="OneOf: weights must be a list of 1 positive numbers"):
        OneOf([noise], [1, 1])

    class Hasty(SignFlip):
        def __init__(self) -> None:
            self.probability = 0.5

    with pytest.raises(AugmentationError, match="Hasty: its constructor must call super"):
        OneOf([Hasty()])
