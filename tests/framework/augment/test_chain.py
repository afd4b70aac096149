from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from weightspace.augment import AugmentationChain, build_augmentations, list_augmentations
from weightspace.augment.attributes import check_attributes
from weightspace.augment.base import Augmentation
from weightspace.batch import WeightBatch
from weightspace.errors import AugmentationError
from weightspace_plugins.mixup import MixUp
from weightspace_plugins.noise import GaussianNoise


def test_draws_are_decided_by_seed_epoch_batch_rank_position_and_draw(random_batch) -> None:
    batch = random_batch().replace(index=3)
    chain = AugmentationChain([GaussianNoise(), GaussianNoise()], seed=5)
    base = chain(batch, epoch=1, rank=2, draw=0).params
    assert torch.equal(AugmentationChain([GaussianNoise(), GaussianNoise()], 5)(batch, 1, 2, 0).params, base)
    others = [
        AugmentationChain([GaussianNoise(), GaussianNoise()], 6)(batch, 1, 2, 0),
        chain(batch, 2, 2, 0),
        chain(batch.replace(index=4), 1, 2, 0),
        chain(batch, 1, 3, 0),
        chain(batch, 1, 2, 1),
    ]
    assert all(not torch.equal(other.params, base) for other in others)
    once = chain.augmentations[0]
    twice = [a.sample(batch, torch.Generator().manual_seed(0)) for a in (once, once)]
    assert torch.equal(*twice)


def test_two_of_one_kind_draw_differently_and_keep_their_own_state(random_batch) -> None:
    chain = AugmentationChain([GaussianNoise(scale=1.0), GaussianNoise(scale=1.0)], seed=0)
    batch = random_batch()
    alone = AugmentationChain([GaussianNoise(scale=1.0)], seed=0)(batch).params - batch.params
    both = chain(batch).params - batch.params
    assert not torch.allclose(both, 2 * alone, rtol=0.01)


def test_the_input_is_not_changed(random_batch) -> None:
    batch = random_batch()
    before = batch.params.clone()
    names = ["rotate", "sign_flip", "gaussian_noise", "mixup"]
    after = AugmentationChain(build_augmentations(names), seed=0)(batch)
    assert torch.equal(batch.params, before)
    assert batch.targets.ndim == 1
    assert not torch.equal(after.params, before)


def test_p_chooses_networks_and_targets_together(random_batch) -> None:
    batch = random_batch(count=400)
    after = MixUp(p=0.3)(batch, torch.Generator().manual_seed(0))
    changed = (after.params != batch.params).any(1)
    assert 0.2 < changed.double().mean() < 0.4
    one_hot = torch.nn.functional.one_hot(batch.targets, 3).double()
    assert torch.equal(after.targets[~changed], one_hot[~changed])
    assert torch.allclose(after.targets.sum(1), torch.ones(400, dtype=torch.float64))
    untouched = MixUp(p=0.0)(batch, torch.Generator().manual_seed(0))
    assert torch.equal(untouched.params, batch.params)


def test_symmetries_that_the_networks_do_not_have_are_refused(random_batch) -> None:
    relu = random_batch(activation="relu").spec
    chain = AugmentationChain(build_augmentations(["sign_flip"]), seed=0)
    with pytest.raises(
        AugmentationError, match=r"'sign_flip' of weightspace .*: valid for sine/tanh networks only, these are .* relu"
    ):
        chain.check(relu, target="class")
    with pytest.raises(AugmentationError, match="MixUp: needs targets"):
        AugmentationChain([MixUp()], seed=0).check(relu, target=None)
    with pytest.raises(AugmentationError, match="these networks have 1"):
        AugmentationChain(build_augmentations(["rotate"]), seed=0).check(random_batch((1, 3, 1)).spec, "class")


class Broken(Augmentation):
    """Returns what it was told to."""

    def __init__(self, result: Callable[[WeightBatch], object], p: float = 1.0) -> None:
        super().__init__(p)
        self.result = result

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> None:
        return None

    def apply(self, batch: WeightBatch, params: None) -> WeightBatch:
        return self.result(batch)


@pytest.mark.parametrize("p", [1.0, 0.5])
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda b: b.params, "must return a WeightBatch, found Tensor"),
        (lambda b: b.replace(params=b.params.float()), "float64 on cpu, apply returned .* torch.float32"),
        (
            lambda b: b.replace(params=b.params / 0),
            "of 6 networks are not",
        ),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named(random_batch, result, message: str, p: float) -> None:
    with pytest.raises(AugmentationError, match=f"Broken: .*{message}"):
        AugmentationChain([Broken(result, p)], seed=0)(random_batch())


def test_the_first_party_plugins_are_found() -> None:
    assert {"rotate", "sign_flip", "gaussian_noise", "mixup"} <= set(list_augmentations())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("rotat", r"unknown augmentation 'rotat': did you mean 'rotate'\? Known: .*mixup \(weightspace"),
        ({"rotate": {"angle": 3}}, r"'rotate' .*angle.*its parameters: degrees=30.0, p=1.0"),
        ({"rotate": {"degrees": 300}}, r"'rotate' of weightspace .*: degrees must be in 0\.\.180, found 300"),
        ({"rotate": {"degrees": "30"}}, "found '30'"),
        ({"rotate": 30}, r"parameters must be \{name: value\}, found 30"),
        ({"rotate": {}, "mixup": {}}, "is a name or"),
        ({"mixup": {"alpha": 0}}, "alpha must be in 0..1000, but not 0"),
        ({"mixup": {"p": 1.1}}, r"p must be in 0\.\.1, found 1.1"),
    ],
)
def test_bad_entries_say_why(entry, message: str) -> None:
    with pytest.raises(AugmentationError, match=message):
        build_augmentations([entry])


def test_a_batch_that_is_not_finite_is_nobodys_fault(random_batch) -> None:
    batch = random_batch()
    params = batch.params.clone()
    params[0, 0] = float("nan")
    with pytest.raises(
        AugmentationError,
        match="1 of 6 networks of the batch have weights or targets that are NaN .* before any augmentation",
    ):
        AugmentationChain([GaussianNoise()], seed=0)(batch.replace(params=params))


def test_the_culprit_is_named_among_others(random_batch) -> None:
    infinite = Broken(lambda b: b.replace(params=b.params * float("inf")))
    with pytest.raises(
        AugmentationError, match=r"Broken: 6 of 6 networks are not finite after it, and were before: weights or"
    ):
        AugmentationChain([GaussianNoise(), infinite, GaussianNoise()], seed=0)(random_batch())


def test_what_is_not_finite_only_once_is_told_too(random_batch) -> None:
    calls: list[int] = []

    def first_call_only(batch: WeightBatch) -> WeightBatch:
        calls.append(1)
        return batch.replace(params=batch.params * (float("nan") if len(calls) == 1 else 1.0))

    chain = AugmentationChain([Broken(first_call_only)], seed=0)
    calls.append(1)
    chain(random_batch())  # its first call replays
    calls.clear()
    with pytest.raises(AugmentationError, match="not finite once, and were with the same draws again, after: Broken"):
        chain(random_batch())


def test_an_instance_may_be_in_several_places(random_batch) -> None:
    batch = random_batch()
    noise, mixup = GaussianNoise(), MixUp()
    chain = AugmentationChain([noise, mixup, noise], seed=3, paired=True)
    separate = AugmentationChain([GaussianNoise(), MixUp(), GaussianNoise()], seed=3, paired=True)
    expected = separate(batch).params
    for other in (AugmentationChain([mixup], seed=0), AugmentationChain([mixup, noise], seed=3, paired=False)):
        other(batch)  # must not change what the first chain draws, nor its pairing
        assert torch.equal(chain(batch).params, expected)


def test_each_place_has_a_generator_of_its_own(random_batch) -> None:
    batch = random_batch().replace(index=4)
    noise = GaussianNoise()
    result = batch
    for position in range(2):
        key = (3, 1, 4, 2, position, 1)  # seed, epoch, batch, rank, position, draw
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
        result = noise(result, torch.Generator().manual_seed(seed))
    assert torch.equal(AugmentationChain([noise, noise], seed=3)(batch, 1, 2, 1).params, result.params)


def fail(batch: WeightBatch) -> WeightBatch:
    raise ZeroDivisionError("by hand")


def test_an_exception_keeps_its_type_and_tells_whose_it_is(random_batch) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        AugmentationChain([Broken(fail)], seed=0)(random_batch())
    assert caught.value.__notes__ == ["raised by Broken"]


def test_compositions_work_in_any_order(random_batch) -> None:
    made_of_others = {"one_of", "some_of", "repeat"}
    names = [name for name in list_augmentations() if name not in {"positive_scale", *made_of_others}]
    for entries in (names, names[::-1], ["mixup", "label_smoothing", "mixup_aligned", "mixup"]):
        chain = AugmentationChain(build_augmentations(entries), seed=0)
        chain.check(random_batch().spec, "class")
        after = chain(random_batch())
        assert after.params.isfinite().all()
        assert torch.allclose(after.targets.sum(1), torch.ones(6, dtype=torch.float64))


class Odd(Augmentation):
    """Does what it must not."""

    def __init__(self, sample: Callable[..., object], apply: Callable[..., object], p: float = 1.0) -> None:
        super().__init__(p)
        self.draw, self.change = sample, apply

    def sample(self, batch: WeightBatch, generator: torch.Generator) -> object:
        return self.draw(batch, generator)

    def apply(self, batch: WeightBatch, params: object) -> WeightBatch:
        return self.change(batch, params)


def nothing(*_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("sample", "apply", "message"),
    [
        (nothing, lambda b, _: b.replace(params=b.params.mul_(2)), "Odd: wrote to its input"),
        (nothing, lambda b, _: (b.weights[0].zero_(), b.replace(params=b.params + 1))[1], "Odd: wrote to its input"),
        (nothing, lambda b, _: b.replace(params=b.params + torch.rand(1)), "Odd: apply gave two results"),
        (lambda b, _: torch.rand(1), lambda b, d: b.replace(params=b.params + d), "Odd: the same generator gave two"),
        (lambda b, _: np.random.rand(), lambda b, d: b.replace(params=b.params + d), "Odd: the same generator gave"),
        (lambda b, _: random.random(), lambda b, d: b.replace(params=b.params + d), "Odd: the same generator gave"),
    ],
)
def test_randomness_and_writing_in_the_wrong_place_are_found_in_the_first_step(
    random_batch, sample, apply, message: str
) -> None:
    with pytest.raises(AugmentationError, match=message):
        AugmentationChain([GaussianNoise(), Odd(sample, apply)], seed=0)(random_batch())


def test_the_first_step_changes_no_draw_and_no_global_state(random_batch) -> None:
    chain = AugmentationChain(build_augmentations(["rotate", "mixup_aligned", "dropout"]), seed=1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = chain(random_batch())
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert torch.equal(chain(random_batch()).params, first.params)


def test_writing_to_the_input_is_found_in_any_step(random_batch) -> None:
    writes: list[int] = []
    odd = Odd(nothing, lambda b, _: b.replace(params=b.params.add_(1) if writes else b.params + 1))
    chain = AugmentationChain([odd], seed=0)
    chain(random_batch())
    writes.append(1)
    with pytest.raises(AugmentationError, match="Odd: wrote to its input"):
        chain(random_batch())


def test_targets_of_some_networks(random_batch) -> None:
    """Classes or distributions, whatever the others have; and nothing else."""
    relabel = Odd(nothing, lambda b, _: b.replace(targets=torch.zeros(len(b)).long()), p=0.5)
    hard = random_batch(count=60)
    result = AugmentationChain([relabel], seed=0)(hard)
    assert result.targets.dtype == torch.int64
    assert 0 < int((result.targets != hard.targets).sum()) < 40
    soft = AugmentationChain([MixUp(), relabel], seed=0)(hard).targets
    assert soft.shape == (60, 3)
    assert torch.allclose(soft.sum(1), torch.ones(60, dtype=soft.dtype))
    wrong = Odd(nothing, lambda b, _: b.replace(targets=torch.zeros(len(b), 2)))
    with pytest.raises(AugmentationError, match=r"Odd: targets were \(60,\) torch.int64, apply returned \(60, 2\)"):
        AugmentationChain([wrong], seed=0)(hard)


def test_a_class_that_does_not_set_up_its_base_is_named() -> None:
    class Hasty(Odd):
        def __init__(self) -> None:
            self.scale = 1

    with pytest.raises(
        AugmentationError, match=r"Hasty: its constructor must call super\(\).__init__\(sample, apply, p\)"
    ):
        AugmentationChain([Hasty()], seed=0)


STORED = {"mixup_aligned": {"stored": True}}


@pytest.mark.parametrize(
    ("entries", "moving"),
    [
        (["permute", STORED], "permute"),
        (["gaussian_noise", "sign_flip", "permute", STORED], "sign_flip"),
        (["phase_shift", STORED], "phase_shift"),
        (["mixup", STORED], "mixup"),
        ([{"mixup_aligned_permuted": {"stored": True}}, STORED], "mixup_aligned_permuted"),
        (["self_mixup", STORED], "self_mixup"),
        ([{"self_mixup": {"augmentations": ["gaussian_noise", "sign_flip"]}}, STORED], "self_mixup"),
    ],
)
def test_a_stored_alignment_is_refused_after_what_moves_neurons(random_batch, entries, moving: str) -> None:
    chain = AugmentationChain(build_augmentations(entries), seed=0)
    with pytest.raises(
        AugmentationError, match=f"'mixup_aligned' .*: a stored alignment .*'{moving}' .* before it, moves"
    ):
        chain.check(random_batch().spec, "class")


def test_what_leaves_neurons_where_they_are_may_come_before_a_stored_alignment(random_batch) -> None:
    self_mixup = {"self_mixup": {"augmentations": ["gaussian_noise"]}}
    still = [
        "rotate",
        "translate",
        "scale",
        "gaussian_noise",
        "dropout",
        "quantile_mask",
        "label_smoothing",
        self_mixup,
    ]
    after = [STORED, "sign_flip", "permute", "phase_shift"]
    chain = AugmentationChain(build_augmentations([{"permute": {"p": 0}}, *still, STORED, *after]), seed=0)
    chain.check(random_batch((2, 5, 1)).spec, "class")
    assert chain.stored_alignment is True
    assert AugmentationChain(build_augmentations(still), seed=0).stored_alignment is False
    other = {"mixup_aligned": {"stored": "mean"}}
    with pytest.raises(AugmentationError, match="have one stored alignment, and True and 'mean' are asked for"):
        AugmentationChain(build_augmentations([STORED, other]), seed=0).check(random_batch((2, 5, 1)).spec, "class")


class Mirrored(Broken):
    """A plugin that declares what it does."""

    moves_neurons = True


class Following(Broken):
    stored_alignment = "mine"


class Derived(Broken):
    """A plugin whose attributes depend on its parameters."""

    shorthand = "result"
    exact = property(lambda self: "nearly" if self.p < 0.5 else None)
    mixes = property(lambda self: self.p < 0.5 and "others")


def test_an_attribute_may_depend_on_the_parameters(random_batch) -> None:
    check_attributes(Derived, "Derived")
    with pytest.raises(
        AugmentationError, match="Derived: exact must be .* 'nearly'; mixes must be a bool, found 'others'"
    ):
        AugmentationChain([Derived(lambda b: b, p=0.1)], seed=0)
    assert Derived(lambda b: b, p=0.5).exact is None


def test_a_list_is_the_parameter_that_a_shorthand_names() -> None:
    path = f"{Derived.__module__}.Derived"
    assert build_augmentations([{path: [1, 2]}])[0].result == [1, 2]
    with pytest.raises(AugmentationError, match=r"parameters must be \{name: value\}, found \[1, 2\]"):
        build_augmentations([{"rotate": [1, 2]}])
    with pytest.raises(AugmentationError, match="Wrong: shorthand must be a str or a None, found 1"):
        check_attributes(type("Wrong", (Broken,), {"shorthand": 1}), "Wrong")


def test_plugins_declare_it_by_an_attribute(random_batch) -> None:
    chain = AugmentationChain([Mirrored(lambda b: b), Following(lambda b: b)], seed=0)
    with pytest.raises(AugmentationError, match="Following: a stored alignment .* Mirrored, before it, moves"):
        chain.check(random_batch().spec, "class")
    chain = AugmentationChain([Broken(lambda b: b), Following(lambda b: b)], seed=0)
    chain.check(random_batch().spec, "class")
    assert chain.stored_alignment == "mine"
    for name, value in (("moves_neurons", 1), ("stored_alignment", None)):
        wrong = type("Wrong", (Broken,), {name: value})
        with pytest.raises(AugmentationError, match=f"Wrong: {name} must be a bool"):
            AugmentationChain([wrong(lambda b: b)], seed=0)
