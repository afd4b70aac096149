"""The rules of the contract of a backbone: one function per rule, whose docstring is part of the failure message."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from weightspace.activations import ACTIVATIONS
from weightspace.backbones import Backbone
from weightspace.backbones.artefact import described_factory
from weightspace.backbones.initialised import check_initialised
from weightspace.batch import WeightBatch
from weightspace.constructed import check_constructed
from weightspace.errors import ConfigError, SpecError, WeightspaceError
from weightspace.spec import NetworkSpec
from weightspace.symmetry import GroupElement
from weightspace.testing.check import EXACT, Rule

#: A class, or a function that gives it arguments: (spec, out_dim) -> Backbone.
MakeBackbone = Callable[[NetworkSpec, int], Backbone]

#: Length of the result that is asked for; if it is refused, the number of parameters of a network.
OUT_DIM = 5


def made(make: MakeBackbone, spec: NetworkSpec) -> Backbone:
    """The backbone with the same weights at every call; raises what its constructor raises."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return make(spec, OUT_DIM)
        except ConfigError:
            return make(spec, spec.num_params)


def build(make: MakeBackbone, batch: WeightBatch) -> Backbone:
    """The backbone in float64, for evaluation, with the normaliser of the batch."""
    backbone = made(make, batch.spec)
    assert isinstance(backbone, Backbone), f"it is a {type(backbone).__name__}, not derived from Backbone"
    check_constructed(backbone, ConfigError)
    check_initialised(backbone, type(backbone).__name__)
    backbone = backbone.to(batch.device, torch.float64).eval()
    backbone.fit_normaliser(batch)
    return backbone


def difference(first: Tensor, second: Tensor) -> float:
    """Largest absolute difference."""
    return float((first - second).detach().abs().max())


def only(batch: WeightBatch, symmetry: str, seed: int) -> GroupElement:
    """A random element of one symmetry."""
    generator = torch.Generator(device=batch.device).manual_seed(seed)
    element = GroupElement.random(batch, {"permutation", symmetry}, generator)
    return element if symmetry == "permutation" else replace(element, orders=GroupElement.identity(batch).orders)


def attributes_are_valid(make: MakeBackbone, batch: WeightBatch) -> None:
    """spec and out_dim are those that it was built for, and the claimed symmetries exist."""
    backbone = build(make, batch)
    assert backbone.spec == batch.spec, f"spec is {backbone.spec}"
    asked = (OUT_DIM, batch.spec.num_params)
    assert backbone.out_dim in asked, f"out_dim is {backbone.out_dim}, asked was {asked[0]} or {asked[1]}"
    known = {"permutation"}.union(*(activation.symmetries for activation in ACTIVATIONS.values()))
    for name in ("invariant_to", "equivariant_to"):
        unknown = set(getattr(backbone, name)) - known
        assert not unknown, f"{name} names {sorted(unknown)}, known are {sorted(known)}"


def result_has_the_shape(make: MakeBackbone, batch: WeightBatch) -> None:
    """The result is (B, out_dim), finite, in the precision of the backbone, also for a single network."""
    backbone = build(make, batch)
    for dtype in (torch.float64, torch.float32):
        result = backbone.to(dtype)(batch.to(dtype=dtype))
        assert tuple(result.shape) == (len(batch), backbone.out_dim), f"its shape is {tuple(result.shape)}"
        assert result.dtype == dtype, f"it is {result.dtype} for a backbone in {dtype}"
        assert result.isfinite().all(), f"it is not finite in {dtype}"
    one = backbone(batch.select(torch.tensor([0])))
    assert tuple(one.shape) == (1, backbone.out_dim), f"for one network its shape is {tuple(one.shape)}"


def input_is_not_changed(make: MakeBackbone, batch: WeightBatch) -> None:
    """The networks are not written to."""
    before = batch.params.clone()
    build(make, batch)(batch)
    changed = difference(before, batch.params)
    assert torch.equal(before, batch.params), f"the networks were changed by up to {changed:.3g}"


def networks_are_told_apart(make: MakeBackbone, batch: WeightBatch) -> None:
    """Different networks give different results."""
    spread = float(build(make, batch)(batch).detach().std(0).max())
    assert spread > 1e-7, f"the standard deviation over the networks is {spread:.3g}"


def networks_are_independent(make: MakeBackbone, batch: WeightBatch) -> None:
    """In evaluation, the result of a network does not depend on the others of its batch."""
    backbone = build(make, batch)
    some = torch.tensor([3, 1])
    worst = difference(backbone(batch)[some], backbone(batch.select(some)))
    assert worst < EXACT, f"results differ by up to {worst:.3g} in another batch"


def evaluation_is_deterministic(make: MakeBackbone, batch: WeightBatch) -> None:
    """In evaluation, the same networks give the same result."""
    backbone = build(make, batch)
    assert torch.equal(backbone(batch), backbone(batch)), "a second call gave another result"


def invariances_hold(make: MakeBackbone, batch: WeightBatch) -> None:
    """The result does not change under the symmetries in invariant_to, in float64."""
    backbone = build(make, batch)
    result = backbone(batch)
    for symmetry in sorted(backbone.invariant_to & batch.spec.symmetries):
        worst = max(difference(result, backbone(only(batch, symmetry, seed).apply(batch))) for seed in range(2))
        assert worst < EXACT, f"claims invariance to {symmetry}, but results differ by up to {worst:.3g}"


def equivariances_hold(make: MakeBackbone, batch: WeightBatch) -> None:
    """The result, as networks, moves with the networks under the symmetries in equivariant_to, in float64."""
    backbone = build(make, batch)
    claimed = sorted(backbone.equivariant_to & batch.spec.symmetries)
    if not claimed:
        return
    assert backbone.out_dim == batch.spec.num_params, f"out_dim {backbone.out_dim} is not the size of a network"
    edited = batch.replace(params=backbone(batch).detach())
    for symmetry in claimed:
        for seed in range(2):
            element = only(batch, symmetry, seed)
            worst = difference(element.apply(edited).params, backbone(element.apply(batch)))
            assert worst < EXACT, f"claims equivariance to {symmetry}, but results differ by up to {worst:.3g}"


def every_parameter_learns(make: MakeBackbone, batch: WeightBatch) -> None:
    """Every parameter that requires a gradient gets one that is finite and not zero, where networks have all biases."""
    if not all(batch.spec.has_biases):
        return  # what reads a missing bias always reads 0
    backbone = build(make, batch).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        (backbone(batch) * torch.arange(1, backbone.out_dim + 1, device=batch.device)).square().sum().backward()
    gradients = {name: p.grad for name, p in backbone.named_parameters() if p.requires_grad}
    assert gradients, "it has no parameters"
    dead = [name for name, gradient in gradients.items() if gradient is None or not bool(gradient.any())]
    assert not dead, f"no gradient for {len(dead)} parameters, first {dead[0]}"
    bad = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
    assert not bad, f"the gradient of {bad[0]} is not finite"


def weights_survive(make: MakeBackbone, batch: WeightBatch) -> None:
    """Saved weights, loaded with weights_only, reproduce the result in a new instance, statistics included."""
    backbone = build(make, batch)
    file = io.BytesIO()
    torch.save(backbone.state_dict(), file)
    file.seek(0)
    other = made(make, batch.spec).to(batch.device, torch.float64).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(batch), backbone(batch)), "it gives another result"


def the_description_builds_it(make: MakeBackbone, batch: WeightBatch) -> None:
    """Its class and the arguments in its description, which files of trained networks contain, build an equal one."""
    backbone = build(make, batch)
    described = json.loads(json.dumps(backbone.description()))
    with torch.random.fork_rng(devices=[]):
        other = described_factory(described)(batch.spec, backbone.out_dim).to(batch.device, torch.float64).eval()
    other.load_state_dict(backbone.state_dict())
    assert torch.equal(other(batch), backbone(batch)), f"one with {described['arguments']} gives another result"


def other_networks_are_refused(make: MakeBackbone, batch: WeightBatch) -> None:
    """Networks of another architecture, and saved weights for them, raise a SpecError that names both."""
    backbone = build(make, batch)
    widths = batch.spec.widths
    wider = (*widths[:-1], widths[-1] + 1) if backbone.free_widths else (*widths[:-2], widths[-2] + 1, widths[-1])
    other = replace(batch.spec, widths=wider)
    wrong = WeightBatch(torch.zeros(2, other.num_params, dtype=torch.float64, device=batch.device), other)
    actions: dict[str, Callable[[], object]] = {"networks": lambda: backbone(wrong)}
    try:
        saved = made(make, other).double().state_dict()
        actions["weights"] = lambda: backbone.load_state_dict(saved)
    except WeightspaceError:
        pass  # it cannot be built for these, so that there are no weights of it
    for what, action in actions.items():
        message = _spec_error(action)
        assert message is not None, f"{what} of {other} were taken"
        named = str(batch.spec) in message and str(other) in message
        assert named, f"the error for {what} of {other} does not name both: {message}"


def other_widths_are_read(make: MakeBackbone, batch: WeightBatch) -> None:
    """With free_widths: networks of other hidden widths are read, also by one that was built for these."""
    backbone = build(make, batch)
    if not backbone.free_widths:
        return
    first, *hidden, last = batch.spec.widths
    spec = replace(batch.spec, widths=(first, *(width + 2 for width in hidden), last))
    generator = torch.Generator(device=batch.device).manual_seed(0)
    shape = (len(batch), spec.num_params)
    params = 0.5 * torch.randn(shape, dtype=torch.float64, device=batch.device, generator=generator)
    wider = WeightBatch(params, spec)
    backbone.fit_to_widths([batch, wider])
    result = backbone(wider)
    assert tuple(result.shape) == (len(batch), backbone.out_dim), f"the result for {spec} is {tuple(result.shape)}"
    assert result.isfinite().all(), f"the result for {spec} is not finite"
    for symmetry in sorted(backbone.invariant_to & spec.symmetries):
        worst = difference(result, backbone(only(wider, symmetry, 0).apply(wider)))
        assert worst < EXACT, f"claims invariance to {symmetry}, but results for {spec} differ by up to {worst:.3g}"
    other = made(make, spec).to(batch.device, torch.float64).eval()
    other.load_state_dict(backbone.state_dict())
    assert other.spec == batch.spec, f"one for {spec} that has loaded the weights says it was built for {other.spec}"
    for networks in (batch, wider):
        assert torch.equal(other(networks), backbone(networks)), f"one that was built for {spec} gives another result"


def _spec_error(action: Callable[[], object]) -> str | None:
    """The message of the SpecError that an action raises; None if it raises nothing."""
    try:
        action()
    except SpecError as error:
        return str(error)
    return None


#: Each presupposes those before it, and all others presuppose these.
BASIC: tuple[Rule, ...] = (attributes_are_valid, result_has_the_shape, input_is_not_changed)
OTHERS: tuple[Rule, ...] = (
    networks_are_told_apart,
    networks_are_independent,
    evaluation_is_deterministic,
    invariances_hold,
    equivariances_hold,
    every_parameter_learns,
    weights_survive,
    the_description_builds_it,
    other_networks_are_refused,
    other_widths_are_read,
)
