"""Fitting networks to objects: recipes, and a fitter that works on many networks at once.

Public is ``fit_zoo``; all else may change in any release.
"""

from weightspace.fitting.recipes import RECIPES, Recipe, load_recipe
from weightspace.fitting.zoo import fit_zoo

__all__ = ["RECIPES", "Recipe", "fit_zoo", "load_recipe"]
