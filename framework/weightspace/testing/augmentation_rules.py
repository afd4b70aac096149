"""The rules of the contract of an augmentation: one function each, whose docstring is part of the failure message."""

from __future__ import annotations

import copy
import inspect
import pickle
import random
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from weightspace.augment import Augmentation
from weightspace.augment.attributes import faults
from weightspace.augment.results import versions
from weightspace.batch import WeightBatch, soft_targets
from weightspace.network import evaluate
from weightspace.testing.check import EXACT, Rule


def run(augmentation: Augmentation, batch: WeightBatch, seed: int = 0) -> WeightBatch:
    """The augmented batch for a seed."""
    return augmentation(batch, torch.Generator(device=batch.device).manual_seed(seed))


def same(first: WeightBatch, second: WeightBatch, what: str) -> None:
    """Asserts that parameters and targets agree, bit for bit."""
    assert first.params.shape == second.params.shape, (
        f"{what}: {tuple(first.params.shape)}, {tuple(second.params.shape)}"
    )
    difference = (first.params - second.params).abs().max()
    assert torch.equal(first.params, second.params), f"{what}: parameters differ by up to {difference:.3g}"
    targets = (first.targets, second.targets)
    assert all(isinstance(t, Tensor) for t in targets), f"{what}: targets were lost"
    assert torch.equal(*targets), f"{what}: targets differ"  # type: ignore[arg-type]


def attributes_are_valid(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Class attributes have valid values."""
    found = faults(augmentation)
    assert not found, "; ".join(found)


def sample_and_apply_work(augmentation: Augmentation, batch: WeightBatch) -> None:
    """sample draws for a batch, and apply makes a WeightBatch of it."""
    after = _applied(augmentation, batch)
    assert isinstance(after, WeightBatch), f"apply returned {type(after).__name__}"


def _applied(augmentation: Augmentation, batch: WeightBatch) -> WeightBatch:
    """Result of apply, without the checks of ``__call__``."""
    return augmentation.apply(batch, augmentation.sample(batch, torch.Generator(device=batch.device).manual_seed(0)))


def parameters_are_attributes(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Every parameter of the constructor is kept as an attribute of the same name, and they build an equal one."""
    names = list(inspect.signature(type(augmentation)).parameters)
    assert "p" in names, f"the constructor has no p, only {names}"
    missing = [name for name in names if not hasattr(augmentation, name)]
    assert not missing, f"no attribute {', '.join(missing)}"
    same(run(augmentation, batch), run(_built_again(augmentation), batch), "built again from its attributes")


def _built_again(augmentation: Augmentation) -> Augmentation:
    """A new one from the attributes, with the state that a checkpoint keeps."""
    names = inspect.signature(type(augmentation)).parameters
    again = type(augmentation)(**{name: getattr(augmentation, name) for name in names})
    again.load_state_dict(copy.deepcopy(augmentation.state_dict()))
    return again


def shape_dtype_and_metadata_are_kept(augmentation: Augmentation, batch: WeightBatch) -> None:
    """The result is a WeightBatch of the same shape, dtype, device, architecture, objects, views and index."""
    for dtype in (torch.float64, torch.float32):
        before = batch.to(dtype=dtype)
        after = run(augmentation, before)
        for name in ("shape", "dtype", "device"):
            old, new = (str(getattr(b.params, name)) for b in (before, after))
            assert old == new, f"{name} of the parameters was {old}, became {new}"
        for name in ("spec", "num_classes", "index"):
            assert getattr(after, name) == getattr(before, name), f"{name} became {getattr(after, name)}"
        for name in ("objects", "views"):
            assert torch.equal(getattr(after, name), getattr(before, name)), f"{name} changed"


def result_is_finite(augmentation: Augmentation, batch: WeightBatch) -> None:
    """The result holds no NaN and no infinity."""
    for seed in range(3):
        bad = int((~run(augmentation, batch, seed).params.isfinite()).any(1).sum())
        assert bad == 0, f"{bad} of {len(batch)} networks are not finite"


def input_is_not_changed(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Neither sample nor apply writes to the batch that it is given."""
    before = batch.replace(params=batch.params.clone(), targets=soft_targets(batch).clone())
    given = before.replace(params=before.params.clone(), targets=soft_targets(before).clone())
    counts = versions(given)
    _applied(augmentation, given)
    same(before, given, "sample or apply wrote to its input")
    assert versions(given) == counts, "sample or apply wrote to its input"


def apply_replays_what_was_drawn(augmentation: Augmentation, batch: WeightBatch) -> None:
    """apply is deterministic: the same draw gives the same result, as often as it is applied."""
    params = augmentation.sample(batch, torch.Generator(device=batch.device).manual_seed(0))
    kept = copy.deepcopy(params)
    first = augmentation.apply(batch, params)
    same(first, augmentation.apply(batch, params), "applied a second time")
    same(first, augmentation.apply(batch, kept), "applied with a copy of the draw")


def generator_decides(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Equal generators give equal results, and different ones different results, unless sample draws None."""
    first = run(augmentation, batch, 0)
    same(first, run(augmentation, batch, 0), "with the same seed")
    if augmentation.sample(batch, torch.Generator(device=batch.device).manual_seed(0)) is None or augmentation.p == 0:
        return
    others = [run(augmentation, batch, seed) for seed in range(1, 6)]
    different = [
        not torch.equal(first.params, other.params) or not torch.equal(soft_targets(first), soft_targets(other))
        for other in others
    ]
    assert any(different), "six generators gave one result"


def global_randomness_is_not_used(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Randomness comes from the given generator alone, not from torch's, numpy's or Python's global state."""
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
    run(augmentation, batch)
    after = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
    used = [n for n, a, b in (("torch", before[0], after[0]),) if not torch.equal(a, b)]
    used += [n for n, a, b in zip(("numpy", "random"), before[1:], after[1:], strict=True) if a != b]
    assert not used, f"used the global state of {', '.join(used)}"


def networks_are_independent(augmentation: Augmentation, batch: WeightBatch) -> None:
    """The result of a network does not depend on the others of its batch, unless the class sets mixes = True."""
    if augmentation.mixes:
        return
    always = copy.copy(augmentation)
    always.p = 1.0
    kept = torch.arange(len(batch), device=batch.device) % 2 == 0
    changed = batch.replace(params=torch.where(kept[:, None], batch.params, 3 * batch.params.flip(0)))
    difference = (run(always, batch).params - run(always, changed).params)[kept].abs().max()
    assert difference < EXACT, f"networks changed by up to {difference:.3g} when only others of the batch were changed"


def a_single_network_is_a_batch(augmentation: Augmentation, batch: WeightBatch) -> None:
    """A batch of one network works."""
    after = run(augmentation, batch.select(torch.tensor([0])))
    assert len(after) == 1, f"it became {len(after)}"
    assert after.params.isfinite().all(), "it is not finite"


def p_is_respected(augmentation: Augmentation, batch: WeightBatch) -> None:
    """With p = 0 nothing changes; with p = 0.5 the networks that were not chosen keep parameters and label."""
    lazy = copy.copy(augmentation)
    lazy.p = 0.0
    result = run(lazy, batch)
    assert torch.equal(result.params, batch.params), "p = 0 changed parameters"
    assert torch.equal(soft_targets(result), soft_targets(batch)), "p = 0 changed targets"
    many = batch.select(torch.arange(len(batch)).repeat(20))
    shares, moved = {}, torch.zeros(len(many), dtype=torch.bool, device=many.device)
    for lazy.p in (1.0, 0.5):
        result, movable = run(lazy, many), moved
        moved = (result.params != many.params).any(1)
        labelled = (soft_targets(result) != soft_targets(many)).any(1)
        shares[lazy.p] = float((moved | labelled).double().mean())
    assert abs(shares[0.5] - 0.5 * shares[1.0]) < 0.12, (
        f"p = 0.5 changed {shares[0.5]:.0%} of the networks, p = 1 changes {shares[1.0]:.0%}"
    )
    if augmentation.uses_labels and bool(moved.any()):
        stray = int((labelled & ~moved & movable).sum())  # with p = 1, the same draws move these
        assert stray == 0, f"{stray} networks kept their parameters, but not their label"


def exactness_holds(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Claimed exactness holds: networks are evaluated in float64 before and after."""
    if augmentation.exact is None:
        return
    generator = torch.Generator().manual_seed(3)
    x = (2 * torch.rand(40, batch.spec.in_dim, generator=generator, dtype=torch.float64) - 1).to(batch.device)
    for seed in range(3):
        params = augmentation.sample(batch, torch.Generator(device=batch.device).manual_seed(seed))
        after = evaluate(augmentation.apply(batch, params), x)
        points = x
        if augmentation.exact == "input":
            points = augmentation.coordinates(x, params)
            own = augmentation.coordinates(x.repeat(len(batch), 1, 1), params)
            difference = (own - points).abs().max()
            assert difference < EXACT, f"coordinates of (B, N, d) points differ from those of (N, d): {difference:.3g}"
        difference = (after - evaluate(batch, points)).abs().max()
        assert difference < EXACT, f"outputs differ by up to {difference:.3g}, allowed is {EXACT:g}"


def targets_are_valid(augmentation: Augmentation, batch: WeightBatch) -> None:
    """Targets do not change or, if uses_labels is True, become distributions over the classes."""
    for before in (batch, batch.replace(targets=soft_targets(batch))):
        after = run(augmentation, before)
        assert after.targets is not None, "targets were lost"
        if not augmentation.uses_labels:
            assert torch.equal(after.targets, before.targets), "targets changed, but uses_labels is False"  # type: ignore[arg-type]
            continue
        soft = soft_targets(after)
        expected = (len(batch), batch.num_classes)
        assert tuple(soft.shape) == expected, f"targets have the shape {tuple(soft.shape)}, expected {expected}"
        low, error = float(soft.min()), float((soft.sum(1) - 1).abs().max())
        assert low >= 0, f"a target is {low:.3g}"
        assert error < 1e-6, f"targets of a network sum to 1 +- {error:.3g}"


def state_survives(augmentation: Augmentation, batch: WeightBatch) -> None:
    """It can be pickled, and its checkpoint state restores its behaviour in a new instance, also in a later epoch."""
    augmentation = copy.deepcopy(augmentation)
    if type(augmentation).on_train_epoch_start is not Augmentation.on_train_epoch_start:
        moment = SimpleNamespace(current_epoch=3, max_epochs=10, global_step=30)
        augmentation.on_train_epoch_start(moment, None)  # type: ignore[arg-type]
    expected = run(augmentation, batch)
    same(run(pickle.loads(pickle.dumps(augmentation)), batch), expected, "after pickling")  # our own bytes
    same(run(_built_again(augmentation), batch), expected, "built again, after load_state_dict(state_dict())")


#: Each presupposes those before it, and all others presuppose these.
BASIC: tuple[Rule, ...] = (
    attributes_are_valid,
    sample_and_apply_work,
    input_is_not_changed,
    shape_dtype_and_metadata_are_kept,
)
OTHERS: tuple[Rule, ...] = (
    parameters_are_attributes,
    result_is_finite,
    apply_replays_what_was_drawn,
    generator_decides,
    global_randomness_is_not_used,
    networks_are_independent,
    a_single_network_is_a_batch,
    p_is_respected,
    exactness_holds,
    targets_are_valid,
    state_survives,
)
