"""The command line: ``weightspace fit|validate|test|predict``, ``zoo ...``, ``augmentations``, ``report``.

Internal: may change in any release.
"""
