"""First-party augmentations, found through the same entry points as anybody's."""
