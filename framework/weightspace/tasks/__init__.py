"""What a backbone is trained for."""

from weightspace.tasks.supervised import SupervisedTask

__all__ = ["SupervisedTask"]
