"""Errors caused by user input, with messages that are meant to be read by users."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WeightspaceError(Exception):
    """Invalid input. The message says what was asked, what was found and what to do.

    The command line prints the message alone (no traceback) and exits with code 2.
    """


class SpecError(WeightspaceError, ValueError):
    """A network specification, or tensors that do not fit it."""


class ZooError(WeightspaceError):
    """A zoo folder that cannot be read, written or continued."""


class SourceError(WeightspaceError):
    """Objects (images, shapes) that cannot be found or read."""


class RecipeError(WeightspaceError, ValueError):
    """A fitting recipe that is unknown or not valid."""


class AugmentationError(WeightspaceError):
    """An augmentation that is unknown, not valid here, or breaks its contract."""


class ConfigError(WeightspaceError):
    """A configuration (YAML or command line) that cannot be run."""


class NonFiniteError(WeightspaceError):
    """Training has produced numbers that are not finite."""


class Terminated(Exception):  # noqa: N818 - it is no error
    """A run was asked to end (SIGTERM) and has saved a checkpoint."""


class WorkerEnded(Exception):  # noqa: N818 - it is not the input's
    """A loader worker has died; the command line exits with code 1."""


class SomeFailed(Exception):  # noqa: N818 - the command itself has done all that it could
    """Some runs of a study have failed; the command line exits with code 1."""


class MissingExtraError(WeightspaceError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f'{purpose} needs the package {package!r}, which is not installed: run pip install "weightspace[{extra}]"'
        )


def interrupted(error: BaseException | None) -> bool:
    """Whether ctrl-C caused an error: interrupted code may raise another error while it cleans up, as torch.save does.

    >>> try:
    ...     try:
    ...         raise KeyboardInterrupt
    ...     finally:
    ...         raise RuntimeError("the file is not whole")
    ... except RuntimeError as error:
    ...     print(interrupted(error), interrupted(ValueError()))
    True False
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def closest(name: str, known: Iterable[str]) -> str:
    """Ends an error message about an unknown name with the closest match and all known names.

    >>> closest("rotat", ["rotate", "mixup"])
    "did you mean 'rotate'? Known: mixup, rotate"
    """
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {match[0]!r}? " if match else ""
    return f"{hint}Known: {', '.join(names) if names else '(none)'}"
