"""The command line: ``weightspace fit|validate|test|predict``, ``zoo ...``, ``augmentations``, ``report``."""
