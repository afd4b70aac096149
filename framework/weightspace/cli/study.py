"""The command ``weightspace study FILE.yaml``: plans, runs and shows a table of experiments."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from weightspace.cli.console import make_console
from weightspace.cli.parser import Parser
from weightspace.cli.saved_config import RUNS
from weightspace.cli.study_checks import check_variants, missing_zoos, zoo_command
from weightspace.cli.study_tables import show_tables
from weightspace.errors import ConfigError, SomeFailed
from weightspace.files.lock import Lock
from weightspace.studies.cells import Cell, Place, cells_of
from weightspace.studies.estimate import ended_runs, time_left
from weightspace.studies.record import Record
from weightspace.studies.runner import Runner, collect_ended
from weightspace.studies.study import Study, read_study
from weightspace.studies.workers import ClusterWorkers, LocalWorkers, Workers


def study_cli(arguments: list[str]) -> None:
    """Runs ``weightspace study`` with the given arguments."""
    parser = Parser(prog="weightspace study", description="Runs a table of experiments, and goes on with what was cut.")
    parser.add_argument("file", type=str, help="YAML with base, variants and seeds; results are written beside it")
    parser.add_argument("--dry-run", action="store_true", help="show the plan alone")
    parser.add_argument("--table", action="store_true", help="make the tables from the recorded results, run nothing")
    parser.add_argument("--rerun", nargs="*", type=str, metavar="VARIANT", help="run these again; without names: all")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, which share the processor's cores")
    parser.add_argument("--make-zoos", action="store_true", help="make the zoos that are missing, as `zoos` says")
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
    with Lock(study.path, ConfigError(f"another process runs {study.path}: wait for it, or stop it")):
        _run(study, cells, place, workers, options, out)


def _workers(options: object, place: Place) -> Workers:
    count, cluster = options.workers, options.cluster  # type: ignore[attr-defined]
    if cluster is None:
        return LocalWorkers(count)
    return ClusterWorkers(cluster, count, place.folder / "jobs", options.cluster_set)  # type: ignore[attr-defined]


def _run(study: Study, cells: Sequence[Cell], place: Place, workers: Workers, options: object, out: Path) -> None:
    console = make_console()
    record = Record(study.record_file)
    dry, rerun = options.dry_run, options.rerun  # type: ignore[attr-defined]
    again = _again(study, cells, record, rerun)
    zoos = check_variants(study, cells)
    missing = [cell for cell in cells if cell.key in again or not record.holds(cell)]
    console.print(_plan(study, cells, missing, record, workers))
    absent = missing_zoos(study, zoos) if missing else []
    if dry:
        for zoo in absent:
            console.print(f"there is no zoo {zoo} yet: {zoo_command(study, zoo)}")
        return
    _make_zoos(study, absent, options.make_zoos)  # type: ignore[attr-defined]
    record.forget(again)
    for key in again:
        (place.folder / f"{key}.digest").unlink(missing_ok=True)
    missing = collect_ended(place, cells, record)
    failures = Runner(place, cells, record, workers, console.print).run(missing)
    show_tables(study, cells, record, out)
    if failures:
        lines = [f"  {failure.cell.key}: {failure.reason}" for failure in failures]
        raise SomeFailed("\n".join([f"{len(failures)} of {len(missing)} runs failed:", *lines]))


def _again(study: Study, cells: Sequence[Cell], record: Record, asked: list[str] | None) -> set[str]:
    """Keys of results that are to be made again.

    Raises:
        ConfigError: a name is no variant, or results of another configuration would have to be.
    """
    for name in asked or []:
        if name not in study.variants:
            raise ConfigError(f"--rerun {name}: it is no variant of {study.path}: {', '.join(study.variants)}")
    if asked is not None:
        return {cell.key for cell in cells if not asked or cell.variant in asked}
    other = [cell for cell in cells if record.differs(cell)]
    if other:
        names = list(dict.fromkeys(cell.variant for cell in other))
        raise ConfigError(
            f"{study.record_file} holds {len(other)} results of other configurations than {study.path} has now "
            f"({', '.join(names)}): run them again with --rerun {' '.join(map(repr, names))}, or undo the change"
        )
    return set()


def _plan(study: Study, cells: Sequence[Cell], missing: Sequence[Cell], record: Record, workers: Workers) -> str:
    columns = f" x {len(study.columns)} columns" if len(study.columns) > 1 else ""
    lines = [f"{study.title or study.name}: {len(study.variants)} variants{columns} x {len(study.seeds)} seeds"]
    for column in study.columns:
        for variant in study.variants:
            group = [cell for cell in cells if (cell.variant, cell.column) == (variant, column)]
            left = [cell for cell in group if cell in missing]
            state = "done" if not left else f"seeds {', '.join(str(cell.seed) for cell in left)}"
            lines.append(f"  {group[0].experiment}: {state}")
    time = time_left(missing, ended_runs(cells, record), workers.count)
    lines.append(f"{len(missing)} of {len(cells)} runs to do, {workers.count} at a time; time: {time}")
    return "\n".join(lines)


def _make_zoos(study: Study, absent: Sequence[str], make: bool) -> None:
    if absent and not make:
        commands = "\n".join(f"  {zoo_command(study, zoo)}" for zoo in absent)
        raise ConfigError(f"zoos are missing: make them with --make-zoos, or by\n{commands}")
    for zoo in absent:
        command = zoo_command(study, zoo)
        make_console().print(command)
        code = subprocess.call([sys.executable, "-m", "weightspace", *command.split()[1:]])
        if code:
            raise ConfigError(f"the zoo {zoo} could not be made (exit code {code})")
