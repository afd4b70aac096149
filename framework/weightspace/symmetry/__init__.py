"""Symmetries of the weight space: maps of the weights that leave the function unchanged."""

from weightspace.symmetry.transforms import permute_neurons, scale_neurons, shift_phases, sign_neurons

__all__ = ["permute_neurons", "scale_neurons", "shift_phases", "sign_neurons"]
