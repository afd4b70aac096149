"""Converting failures of a run (errors of libraries, full disks, dead workers) to one-sentence error messages."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf.errors import OmegaConfBaseException

from weightspace.cli.interpolation import unresolved
from weightspace.data.loading import dead_worker
from weightspace.errors import ConfigError, Terminated, WeightspaceError, WorkerEnded, interrupted
from weightspace.files import FULL, DiskFullError
from weightspace.runs.checkpoint_io import newest_whole
from weightspace.runs.folder import RunFolder
from weightspace.runs.loops import early_rank, is_missing_metric

#: Warnings of Lightning that a user of this command line cannot act on.
QUIET = (
    r".*does not have many workers.*",
    r".*LightningCLI's args parameter is intended to run from within Python.*",
    r".*The number of training batches .* is smaller than the logging interval.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*You defined a `validation_step` but have no `val_dataloader`.*",
    r"Total length of `list` across ranks is zero.*",  # a zoo without validation objects
    r"The .grad attribute of a Tensor that is not a leaf Tensor is being accessed.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r"The ``compute`` method of metric .* was called before the ``update``.*",  # all left out, which is reported
    # keys of earlier versions, which are still read
    r".*Please add the following callbacks: \[(('augmentation/\d+/[^']+'|\"ModelCheckpoint\{[^}]*\}\")(, )?)+\]",
)


@contextmanager
def explained_failures() -> Iterator[None]:
    """Silences warnings without use to users, and converts errors of libraries about configurations to ``ConfigError``.

    Raises:
        KeyboardInterrupt: after ctrl-C, at which Lightning exits.
    """
    for message in QUIET:
        warnings.filterwarnings("ignore", message)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # hides messages about GPUs, tips and seeds
    try:
        with _library_errors():
            yield
    except (Exception, SystemExit) as stop:
        if interrupted(stop):
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except SIGTERMException:  # between the installation of Lightning's signal handler and ours
        raise Terminated("terminated (SIGTERM) before the first step") from None
    except MisconfigurationException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except OmegaConfBaseException as error:
        raise ConfigError(unresolved(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"a configuration file is not UTF-8 text: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except RuntimeError as error:
        if not is_missing_metric(error):
            raise
        raise ConfigError(" ".join(str(error).split())) from error
    except ValueError as error:  # jsonargparse wraps what a constructor raises
        raise _own_error(error) or error from error


@contextmanager
def lost_means_explained(folder: RunFolder, hint: Callable[[], str]) -> Iterator[None]:
    """Adds how to resume to errors about a full disk or a dead loader worker.

    Args:
        folder: folder of the run.
        hint: returns the sentence that says how to resume.

    Raises:
        WorkerEnded: a loader worker has died.
        ConfigError: the disk is full.
    """
    try:
        with _quiet_threads():
            yield
    except RuntimeError as error:
        worker = dead_worker(error)
        if worker is None:
            raise
        raise WorkerEnded(f"{worker}: fewer --data.num_workers need less. {hint()}") from error
    except OSError as error:  # errors of a logger have no path, and may come from its thread
        if error.errno not in FULL:
            raise
        full = error if isinstance(error, DiskFullError) else DiskFullError(folder.path, None, error.errno)
        good = newest_whole(folder.steps())
        room = f"the last good checkpoint is {good}: make room, then --ckpt_path last" if good else "make room"
        raise ConfigError(f"{full}; {room}") from error


def is_first_process() -> bool:
    """Whether this is the first process of a run; works before there is a trainer."""
    node = int(os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", 0)))
    return early_rank() == 0 and node == 0


def _own_error(error: BaseException | None) -> WeightspaceError | None:
    """Finds an error of this package among the causes of an error."""
    while error is not None and not isinstance(error, WeightspaceError):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Suppresses the traceback of TensorBoard's thread on a full disk, since its error is raised elsewhere again."""
    before = threading.excepthook

    def hook(ended: Any) -> None:
        if not (isinstance(ended.exc_value, OSError) and ended.exc_value.errno in FULL):
            before(ended)

    threading.excepthook = hook
    try:
        yield
    except OSError as error:
        for thread in threading.enumerate():
            if getattr(thread, "exception", None) is error:
                thread.join(10)  # the thread is still ending
        raise
    finally:
        threading.excepthook = before
