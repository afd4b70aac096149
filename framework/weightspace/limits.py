"""Limits of what is read from files of others, checked before memory is taken. Published data stay far below them."""

from __future__ import annotations

#: Pixels of a picture: as Pillow's own limit.
PIXELS = 89_478_485
