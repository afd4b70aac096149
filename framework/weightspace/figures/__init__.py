"""Drawing networks, zoos, augmentations and runs.

Internal: may change in any release.
"""
