"""Importing third-party networks into a zoo, and exporting the networks of a zoo.

Public are ``import_zoo`` and ``export_zoo``; all else may change in any release.
"""

from weightspace.importing.export import export_zoo
from weightspace.importing.formats import FORMATS
from weightspace.importing.listing import Entry, LeftOut, Listing
from weightspace.importing.zoo import import_zoo

__all__ = ["FORMATS", "Entry", "LeftOut", "Listing", "export_zoo", "import_zoo"]
