"""The command ``weightspace study FILE.yaml``: plans, runs and shows a table of experiments."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser, key_values
from weightspace.cli.study_needs import make_needs, missing_needs, needs_text
from weightspace.cli.study_tables import show_tables
from weightspace.errors import ConfigError, SomeFailed
from weightspace.files.lock import Lock
from weightspace.runs.folder import RUNS
from weightspace.studies.cells import Cell, Place, cells_of
from weightspace.studies.cluster import ClusterWorkers
from weightspace.studies.estimate import plan_text
from weightspace.studies.record import Record
from weightspace.studies.remade import Inputs, other_makings, remade
from weightspace.studies.runner import Failure, Runner, collect_ended
from weightspace.studies.study import Study, read_study
from weightspace.studies.workers import LocalWorkers, Workers
from weightspace.zoo.resumable import resumable


def study_cli(arguments: list[str]) -> None:
    """Runs ``weightspace study`` with the given arguments."""
    parser = Parser(prog="weightspace study", description="Runs a table of experiments, and goes on with what was cut.")
    parser.add_argument("file", type=str, help="YAML with base, variants and seeds; results are written beside it")
    parser.add_argument("--dry-run", action="store_true", help="show the plan alone")
    parser.add_argument("--table", action="store_true", help="make the tables from the recorded results, run nothing")
    parser.add_argument("--variants", nargs="+", type=str, metavar="VARIANT", help="run these alone; default: all")
    parser.add_argument("--rerun", nargs="*", type=str, metavar="VARIANT", help="run these again; without names: all")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, which share the processor's cores")
    parser.add_argument("--make-zoos", action="store_true", help="make the zoos that are missing, as `zoos` says")
    parser.add_argument("--make-encoders", action="store_true", help="make missing encoders, as `encoders` says")
    parser.add_argument("--cluster", type=str, help="submit the runs by submitit: slurm, or local")
    parser.add_argument("--cluster-set", nargs="+", type=str, default=[], metavar="KEY=VALUE", help="of submitit")
    parser.add_argument("--runs", type=str, default=RUNS, help="folder of all runs")
    parser.add_argument("--out", type=str, metavar="FOLDER", help="for tables and figure; default: that of the runs")
    options = parser.parse_args(arguments)
    study = read_study(Path(options.file))
    cells = cells_of(study)
    place = Place(study, Path(options.runs))
    out = Path(options.out) if options.out else place.folder
    if options.table:
        show_tables(study, cells, Record(study.record_file), out)
        return
    workers = _workers(options, place)
    chosen = _of_variants(study, cells, "--variants", options.variants)
    if options.variants and (left := sorted({*(options.rerun or [])} - {*options.variants})):
        raise ConfigError(f"--rerun {left[0]}: --variants leaves it out: name it there, too, or leave --variants out")
    busy = ConfigError(f"another process runs {study.path}: wait for it, or stop it")
    lock = nullcontext() if options.dry_run else Lock(study.path, busy)
    with lock, resumable(f"what has ended is in {study.record_file}"):
        failures = _run(study, chosen, place, workers, options)
    record = Record(study.record_file)
    if not options.dry_run and record.results:
        show_tables(study, cells, record, out)
    if failures:
        lines = [f"  {failure.cell.key}: {failure.reason}" for failure in failures]
        raise SomeFailed("\n".join([f"{len(failures)} of {len(chosen)} runs failed:", *lines]))


def _workers(options: Any, place: Place) -> Workers:
    count, cluster = options.workers, options.cluster
    if cluster is None:
        return LocalWorkers(count)
    return ClusterWorkers(cluster, count, place.folder / "jobs", key_values(options.cluster_set, "cluster-set"))


def _run(study: Study, cells: Sequence[Cell], place: Place, workers: Workers, options: Any) -> list[Failure]:
    """Runs what is missing of these cells; returns the runs that have failed."""
    # imported here: tables need no lightning, which takes most of the time of the command
    from weightspace.cli.study_checks import check_variants

    console = make_console()
    record = Record(study.record_file)
    again = _again(study, cells, record, options.rerun)
    inputs = check_variants(study, cells)
    for cell in again:
        record.results.pop(cell.key, None)
    collect_ended(place, [cell for cell in cells if cell not in again], record)
    _check_made(study, cells, record, inputs, options.rerun)
    missing = [cell for cell in cells if not record.holds(cell)]
    console.print(plan_text(study, cells, missing, record, workers.count))
    for line in other_makings(record.ended(cells)):
        console.print(line)
    absent = missing_needs(study, inputs.values()) if missing else []
    if options.dry_run:
        if absent:
            console.print(needs_text(absent))
        return []
    make_needs(absent, {"zoo": options.make_zoos, "encoder": options.make_encoders})
    if any(need.kind == "zoo" for need in absent):
        check_variants(study, cells)  # for the networks that are there now
    _check_made(study, cells, record, inputs, options.rerun)  # what has just been made, too
    place.folder.mkdir(parents=True, exist_ok=True)
    same = f"another study with the name of {study.path} runs in {place.folder}: wait for it, or give --runs"
    with Lock(place.folder, ConfigError(same), folder=True):
        for cell in again:
            place.asked(cell).unlink(missing_ok=True)
        record.write()
        if again:
            console.print("if this is cut, the same command without --rerun goes on with what is left")
        console.print(f"what the runs print: {place.folder}/*/*.log")
        return Runner(place, cells, record, workers, console.print).run(missing)


def _of_variants(study: Study, cells: Sequence[Cell], option: str, names: list[str] | None) -> list[Cell]:
    """The cells of some variants; None or no names: of all.

    Raises:
        ConfigError: a name is no variant.
    """
    for name in names or []:
        if name not in study.variants:
            raise ConfigError(f"{option} {name}: it is no variant of {study.path}: {', '.join(study.variants)}")
    return [cell for cell in cells if not names or cell.variant in names]


def _again(study: Study, cells: Sequence[Cell], record: Record, asked: list[str] | None) -> list[Cell]:
    """Runs that are to be made again.

    Raises:
        ConfigError: a name is no variant, or results of another configuration would have to be.
    """
    again = [] if asked is None else _of_variants(study, cells, "--rerun", asked)
    other = [cell for cell in cells if record.differs(cell) and cell not in again]
    if other:
        names = list(dict.fromkeys(cell.variant for cell in other))
        raise ConfigError(
            f"{study.record_file} holds {len(other)} results of other configurations than {study.path} has now "
            f"({', '.join(names)}): run them again with {_rerun(asked, names)}, or undo the change"
        )
    return again


def _check_made(
    study: Study, cells: Sequence[Cell], record: Record, inputs: Mapping[str, Inputs], asked: list[str] | None
) -> None:
    """Raises ConfigError if a zoo or an encoder was made in another way than the one that results are of."""
    if found := remade(cells, record, inputs):
        names = list(dict.fromkeys(cell.variant for cell in found))
        paths = ", ".join(dict.fromkeys(found.values()))
        raise ConfigError(
            f"{paths}: made in another way than what {len(found)} results of {study.path} were measured with "
            f"({', '.join(names)}): run them again with {_rerun(asked, names)}, or put back what was there"
        )


def _rerun(asked: list[str] | None, names: list[str]) -> str:
    """The option that names what was asked to be run again, and these variants."""
    return " ".join(["--rerun", *(shlex.quote(name) for name in dict.fromkeys([*(asked or []), *names]))])
