"""Aligning a zoo once: ``align_zoo``, which goes on after a cut."""

from __future__ import annotations

from pathlib import Path

from weightspace.batch import WeightBatch
from weightspace.checks import check_whole
from weightspace.distributed.device import choose_device
from weightspace.errors import ConfigError, SpecError
from weightspace.progress import Display
from weightspace.symmetry import check_group, resolve_group
from weightspace.zoo.alignment.header import ROUNDS, SWEEPS
from weightspace.zoo.alignment.job import AlignmentJob
from weightspace.zoo.alignment.naming import check_alignment_name, default_name
from weightspace.zoo.alignment.reference import choose_reference
from weightspace.zoo.alignment.store import ZooAlignment
from weightspace.zoo.store import Zoo


def align_zoo(
    zoo: str | Path | Zoo,
    to: str | WeightBatch = "mean",
    *,
    name: str | None = None,
    group: str = "auto",
    sweeps: int = SWEEPS,
    rounds: int = ROUNDS,
    seed: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
    progress: bool | None = None,
) -> ZooAlignment:
    """Aligns all networks of a zoo to one reference and stores the elements in the zoo. Running it again resumes it.

    Args:
        zoo: folder of the zoo; in Python also the zoo.
        to: the reference: mean (of the training networks of the zoo's own splits, refined over rounds), untrained,
            OBJECT or OBJECT/VIEW (a network of the zoo), ZOO:OBJECT/VIEW (one of another zoo), or ZOO:ALIGNMENT (the
            reference of a stored alignment of another zoo); in Python also a batch of one network.
        name: of the alignment in the zoo, which may have several, beginning with a letter; by default after the
            reference, for instance mean, and of another zoo's reference also after that zoo, for instance digits-mean.
        group: auto (all symmetries of the activation), or one of permutation, permutation+sign, permutation+sign+phase
            and permutation+scale, the parts in any order.
        sweeps: of the alignment over the layers, in 1..100.
        rounds: how often a mean is refined: all training networks are aligned to it, and averaged; in 1..100.
        seed: of an untrained reference, and of the training network that a mean starts from.
        device: device on which to align, for instance cuda.
        overwrite: whether another alignment of this name is replaced.
        progress: whether to show lines and a bar; by default on a terminal and in a notebook.

    Raises:
        ConfigError: an argument is wrong or has no effect, or the device cannot be used.
        ZooError: there is no such zoo or network, the folder cannot be written, or it holds another alignment of this
            name.

    >>> import tempfile, torch, weightspace as ws
    >>> spec = ws.NetworkSpec((2, 3, 1), "tanh")
    >>> zoo = ws.write_zoo(tempfile.mkdtemp(), torch.randn(8, spec.num_params), spec, targets=[0] * 8)
    >>> alignment = align_zoo(zoo, to="5")
    >>> aligned = alignment.element(torch.arange(8)).apply(zoo[:])
    >>> bool((aligned.params[5] == zoo[5].params).all()), zoo.alignments
    (True, ['object-5-view-0'])
    """
    # what is stored in the zoo is of its own splits
    opened = zoo.divided_into(None) if isinstance(zoo, Zoo) else Zoo(zoo)
    symmetries = _group(group, opened)
    check_whole("sweeps", sweeps, 1, 100)
    check_whole("rounds", rounds, 1, 100)
    check_whole("seed", seed, low=0, high=2**63 - 1)
    if to != "mean" and rounds != ROUNDS:
        raise ConfigError(f"rounds {rounds} has no effect with this reference, only with mean: leave it out")
    if seed and to not in ("mean", "untrained"):
        raise ConfigError(f"seed {seed} has no effect with this reference, only with mean and untrained: leave it out")
    where, display = choose_device(device), Display(progress)
    reference = choose_reference(opened, to, rounds, seed)
    named = check_alignment_name(default_name(reference.description) if name is None else name)
    job = AlignmentJob(opened, reference, named, symmetries, sweeps, where, display)
    return job.run(overwrite)


def _group(group: str, zoo: Zoo) -> str:
    group = check_group("group", group)
    try:
        resolve_group(group, zoo.spec)
    except SpecError as error:
        raise ConfigError(str(error)) from error
    return group
