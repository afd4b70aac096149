"""Stored alignments of zoos: for each network, the symmetry that brings it into the frame of a reference.

Internal: may change in any release. ``Zoo.alignment`` opens one and ``align_zoo`` makes one.
"""
