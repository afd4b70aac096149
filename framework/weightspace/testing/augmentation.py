"""Checking the contract of an augmentation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import torch

from weightspace.activations import ACTIVATIONS
from weightspace.augment import Augmentation
from weightspace.batch import WeightBatch
from weightspace.constructed import check_constructed
from weightspace.errors import AugmentationError
from weightspace.symmetry import GroupElement, pack_element
from weightspace.testing.augmentation_rules import BASIC, OTHERS
from weightspace.testing.check import Check, contract, run_checks
from weightspace.testing.networks import WIDTHS, network_cases, random_networks, specs


def augmentation_checks(subject: Augmentation | type[Augmentation], device: str = "cpu") -> list[Check]:
    """One check for each rule of the contract.

    Args:
        subject: an instance, or a class whose parameters all have defaults.
        device: where it is checked, for instance "cuda"; one with float64.

    Raises:
        AssertionError: the subject is neither, does not set its base class up, or is not valid for any network.
    """
    augmentation = _instance(subject)
    try:
        check_constructed(augmentation, AugmentationError)
    except AugmentationError as error:
        raise AssertionError(str(error)) from None
    assert any(True for _ in batches(augmentation)), (
        f"{augmentation.name}: its check() accepts no network: tried {', '.join(ACTIVATIONS)} with widths "
        f"{', '.join(str(w) for w in WIDTHS)}"
    )
    return contract(
        augmentation.name, BASIC, OTHERS, lambda: network_cases(augmentation, batches(augmentation, device))
    )


def check_augmentation(subject: Augmentation | type[Augmentation], device: str = "cpu") -> None:
    """Checks every rule of the contract.

    Args:
        subject: an instance, or a class whose parameters all have defaults.
        device: where it is checked, for instance "cuda"; one with float64.

    Raises:
        AssertionError: lists all rules that are broken, with numbers.

    >>> from weightspace_plugins.noise import GaussianNoise
    >>> check_augmentation(GaussianNoise(scale=0.3))
    """
    run_checks(augmentation_checks(subject, device))


def batches(augmentation: Augmentation, device: str = "cpu") -> Iterator[WeightBatch]:
    """Random float64 networks with classes, of every kind that the augmentation accepts."""
    for spec in specs():
        try:
            augmentation.check(spec, "class")
        except AugmentationError:
            continue
        except Exception as error:
            raise AssertionError(f"{augmentation.name}: check() raised {type(error).__name__}: {error}") from error
        networks = random_networks(spec)
        if augmentation.stored_alignment:
            elements = GroupElement.random(networks, spec.symmetries, torch.Generator().manual_seed(0))
            networks = networks.replace(frame=pack_element(elements))
        yield networks.to(device)


def _instance(subject: Augmentation | type[Augmentation]) -> Augmentation:
    if isinstance(subject, Augmentation):
        return subject
    if not (isinstance(subject, type) and issubclass(subject, Augmentation)):
        raise AssertionError(f"expected an Augmentation, or a class derived from it, found {subject!r}")
    parameters = inspect.signature(subject).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert not needed, f"{subject.__name__} needs the parameters {', '.join(needed)}: pass an instance"
    try:
        return subject()
    except Exception as error:
        raise AssertionError(f"{subject.__name__}() raised {type(error).__name__}: {error}") from error
