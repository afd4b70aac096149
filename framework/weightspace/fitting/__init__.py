"""Fitting networks to objects: recipes, and a fitter that works on many networks at once.

Internal: may change in any release.
"""

from weightspace.fitting.recipes import RECIPES, Recipe, load_recipe

__all__ = ["RECIPES", "Recipe", "load_recipe"]
