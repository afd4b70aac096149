"""What a run leaves on disk: its folder, checkpoints, curves and comparisons.

Internal: may change in any release.
"""
