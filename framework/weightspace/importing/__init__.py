"""Bringing networks that others have fitted into a zoo, and taking them out again.

Internal: may change in any release.
"""

from weightspace.importing.formats import FORMATS
from weightspace.importing.listing import Entry, LeftOut, Listing

__all__ = ["FORMATS", "Entry", "LeftOut", "Listing"]
