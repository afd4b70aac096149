"""Symmetries of the weight space: maps of the weights that leave the function unchanged."""

from weightspace.symmetry.alignment import align, squared_distance
from weightspace.symmetry.assignment import solver, use_solver
from weightspace.symmetry.canonical import canonical_element, canonicalise
from weightspace.symmetry.element import GroupElement
from weightspace.symmetry.groups import GROUPS, check_group, group_name, resolve_group
from weightspace.symmetry.packed import pack_element, unpack_element
from weightspace.symmetry.transforms import permute_neurons, scale_neurons, shift_phases, sign_neurons

__all__ = [
    "GROUPS",
    "GroupElement",
    "align",
    "canonical_element",
    "canonicalise",
    "check_group",
    "group_name",
    "pack_element",
    "permute_neurons",
    "resolve_group",
    "scale_neurons",
    "shift_phases",
    "sign_neurons",
    "solver",
    "squared_distance",
    "unpack_element",
    "use_solver",
]
