"""Pictures of networks, zoos, augmentations and runs."""
