"""Each rule fails for an augmentation that breaks it, and names itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from weightspace.augment import Augmentation
from weightspace.testing import augmentation_checks, check_augmentation
from weightspace.testing.augmentation_rules import BASIC, OTHERS


class Good(Augmentation):
    """Noise that keeps every rule; the others differ from it in one thing."""

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p)

    def sample(self, batch, generator):
        return torch.randn(batch.params.shape, generator=generator, dtype=batch.params.dtype)

    def apply(self, batch, params):
        return batch.replace(params=batch.params + params)


class UnknownAttribute(Good):
    exact = "nearly"


class Forgetful(Good):
    def __init__(self, scale: float = 1.0, p: float = 1.0) -> None:
        super().__init__(p)
        self.strength = scale


class Crashing(Good):
    def apply(self, batch, params):
        raise ValueError("not written yet")


class Narrow(Good):
    def apply(self, batch, params):
        return batch.replace(params=(batch.params + params).float())


class Infinite(Good):
    def apply(self, batch, params):
        return batch.replace(params=batch.params / 0)


class InPlace(Good):
    def apply(self, batch, params):
        batch.params.add_(params)
        return batch


class Restless(Good):
    calls = 0

    def apply(self, batch, params):
        self.calls += 1
        return batch.replace(params=batch.params + self.calls * params)


class Constant(Good):
    def sample(self, batch, generator):
        return torch.ones_like(batch.params)


class Global(Good):
    def sample(self, batch, generator):
        torch.rand(1)
        return super().sample(batch, generator)


class Average(Good):
    def apply(self, batch, params):
        return batch.replace(params=batch.params + params + batch.params.mean(0))


class Crowd(Good):
    mixes = True

    def apply(self, batch, params):
        return batch.replace(params=batch.params + params * batch.params.std(0))  # of one network: NaN


class Eager(Good):
    def __call__(self, batch, generator):
        return self.apply(batch, self.sample(batch, generator))


class Lazy(Good):
    def __call__(self, batch, generator):
        return super().__call__(batch, generator) if self.p == 1 else batch


class Scheduled(Good):
    strength = 1.0

    def on_train_epoch_start(self, trainer, pl_module):
        self.strength = trainer.current_epoch

    def apply(self, batch, params):
        return batch.replace(params=batch.params + self.strength * params)


class Boastful(Good):
    exact = "function"


class Relabelling(Good):
    def apply(self, batch, params):
        return batch.replace(params=batch.params + params, targets=batch.targets.roll(1))


class Overconfident(Good):
    uses_labels = True

    def apply(self, batch, params):
        one_hot = torch.nn.functional.one_hot(batch.targets.argmax(1) if batch.targets.ndim == 2 else batch.targets, 3)
        return batch.replace(params=batch.params + params, targets=2.0 * one_hot)


class Sealed(Good):
    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p)
        self.secret = lambda: 0


def test_a_good_one_keeps_all() -> None:
    check_augmentation(Good)
    check_augmentation(Good(p=0.3))
    assert [check.rule for check in augmentation_checks(Good)] == [*BASIC, *OTHERS]


BROKEN = [
    (UnknownAttribute, "attributes_are_valid", "found 'nearly'"),
    (Crashing, "sample_and_apply_work", "raised ValueError: not written yet"),
    (Forgetful, "parameters_are_attributes", "no attribute scale"),
    (
        Narrow,
        "shape_dtype_and_metadata_are_kept",
        r"params were \(24, .* torch.float64 on cpu, apply returned .* torch.float32",
    ),
    (Infinite, "result_is_finite", "24 of 24 networks are not finite"),
    (InPlace, "input_is_not_changed", r"wrote to its input"),
    (Restless, "apply_replays_what_was_drawn", "applied a second time: parameters differ by"),
    (Constant, "generator_decides", "six generators gave one result"),
    (Global, "global_randomness_is_not_used", "used the global state of torch"),
    (Average, "networks_are_independent", r"networks changed by up to \d.* when only others of the batch were changed"),
    (Crowd, "a_single_network_is_a_batch", "it is not finite"),
    (Eager, "p_is_respected", "p = 0 changed parameters"),
    (Lazy, "p_is_respected", "p = 0.5 changed 0% of the networks, p = 1 changes 100%"),
    (Scheduled, "state_survives", r"built again, after load_state_dict\(state_dict\(\)\): parameters differ"),
    (Boastful, "exactness_holds", r"outputs differ by up to \d.*allowed is 1e-09"),
    (Relabelling, "targets_are_valid", "targets changed, but uses_labels is False"),
    (Overconfident, "targets_are_valid", r"targets of a network sum to 1 \+- 1"),
    (Sealed, "state_survives", "raised"),
]


@pytest.mark.filterwarnings("ignore:std..:UserWarning")
@pytest.mark.parametrize(("cls", "rule", "message"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_what_is_broken_is_named_with_numbers(cls: type[Augmentation], rule: str, message: str) -> None:
    with pytest.raises(AssertionError, match=rf"(?s){cls.__name__}: broken rule {rule} .*{message}"):
        check_augmentation(cls)


def test_every_rule_can_fail() -> None:
    assert {rule for _, rule, _ in BROKEN} == {rule.__name__ for rule in (*BASIC, *OTHERS)}


@pytest.mark.parametrize(
    ("cls", "basic"),
    [
        (UnknownAttribute, "attributes_are_valid"),
        (Crashing, "sample_and_apply_work"),
        (InPlace, "input_is_not_changed"),
        (Narrow, "shape_dtype_and_metadata_are_kept"),
    ],
)
def test_a_broken_basic_rule_is_reported_alone(cls: type[Augmentation], basic: str) -> None:
    with pytest.raises(AssertionError) as failure:
        check_augmentation(cls)
    reported, untried = str(failure.value).split("\n")
    assert reported.startswith(f"{cls.__name__}: broken rule {basic} ")
    names = [rule.__name__ for rule in (*BASIC, *OTHERS)]
    assert untried == f"not tried, because {basic} is broken: {', '.join(names[names.index(basic) + 1 :])}"


def test_pytest_skips_what_presupposes_a_broken_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_own.py").write_text(
        "from weightspace.augment import Augmentation\n"
        "from weightspace.testing import parametrize_checks\n\n"
        "class Unfinished(Augmentation):\n"
        "    def sample(self, batch, generator): return None\n"
        "    def apply(self, batch, params): raise ValueError('not written yet')\n\n"
        "@parametrize_checks(Unfinished)\n"
        "def test_contract(check): check()\n"
    )
    options = ["-q", "-rs", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={tmp_path}"]
    assert pytest.main([*options, str(tmp_path)]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert f"1 failed, 1 passed, {len(BASIC) + len(OTHERS) - 2} skipped" in printed
    assert "exactness_holds was not tried, because the basic rule sample_and_apply_work is broken" in printed


class Needy(Good):
    def __init__(self, scale: float, p: float = 1.0) -> None:
        super().__init__(p)
        self.scale = scale


class Nowhere(Good):
    activations = frozenset()


def test_subjects_that_cannot_be_checked() -> None:
    check_augmentation(Needy(0.5))
    with pytest.raises(AssertionError, match="Needy needs the parameters scale: pass an instance"):
        check_augmentation(Needy)
    with pytest.raises(
        AssertionError, match="expected an Augmentation, or a class derived from it, found <class 'int'>"
    ):
        check_augmentation(int)
    with pytest.raises(AssertionError, match="accepts no network"):
        check_augmentation(Nowhere)


class Unset(Good):
    def __init__(self, p: float = 1.0) -> None:
        self.p = p


def test_a_base_class_that_is_not_set_up_is_told() -> None:
    with pytest.raises(AssertionError, match=r"^Unset: its constructor must call super\(\).__init__\(p\)$"):
        check_augmentation(Unset)


class Failing(Good):
    def __init__(self, p: float = 1.0) -> None:
        raise OSError("no disk")


def test_a_constructor_that_fails_is_told() -> None:
    with pytest.raises(AssertionError, match=r"Failing\(\) raised OSError: no disk"):
        check_augmentation(Failing)
