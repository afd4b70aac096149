"""The files of a run: its folder, checkpoints, learning curves, and comparisons of runs.

Internal: may change in any release.
"""
