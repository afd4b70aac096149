"""``weightspace zoo fit|import|export|info|verify|repair|show``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from weightspace.cli.console import make_console, tell_left
from weightspace.cli.parser import Parser, key_values
from weightspace.cli.zoo_exchange import export, import_
from weightspace.cli.zoo_table import zoo_table
from weightspace.distributed import first_then_all, in_any_process, joined, rank, world_size
from weightspace.errors import ConfigError, RecipeError, ZooError
from weightspace.figures.images import save_figure
from weightspace.figures.zoo import overview_figure, zoo_figure
from weightspace.fitting import job, origin, verify
from weightspace.fitting import repair as mend
from weightspace.fitting.base import Fitter
from weightspace.fitting.classifier_fitter import ClassifierFitter
from weightspace.fitting.fitter import BatchedFitter, choose_mode
from weightspace.fitting.job import SHARD_ROWS, ZooFit, ZooPlan
from weightspace.fitting.recipes import Recipe, load_recipe
from weightspace.sources import Objects, Source, load_source
from weightspace.sources.classifiers import ClassifierSource
from weightspace.text import shown_lines
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader

console = make_console()


def zoo_cli(arguments: list[str]) -> None:
    """Parses and runs one ``zoo`` command."""
    commands: dict[str, Callable[..., None]] = {
        "fit": fit, "import": import_, "export": export, "info": info, "verify": check, "repair": repair, "show": show,
    }  # fmt: skip
    parser = Parser(prog="weightspace zoo", description="Sets of fitted networks.")
    subcommands = parser.add_subcommands()
    for name, function in commands.items():
        subparser = Parser(description=(function.__doc__ or "").split("\n", 1)[0])
        by_hand: Any = {"fit": {"set", "source_set"}, "import": {"source"}}.get(name, {"zoo"})
        subparser.add_function_arguments(function, skip=by_hand, as_group=False)
        if name == "fit":
            subparser.add_argument(
                "--set", nargs="+", metavar="FIELD=VALUE", help="changes of recipe fields: --set steps=300"
            )
            subparser.add_argument(
                "--source_set", nargs="+", metavar="NAME=VALUE", help="arguments of the source: --source_set size=32"
            )
        elif name == "import":
            subparser.add_argument("source", type=str, help="folder (or .npz file) of the networks")
        else:
            subparser.add_argument("zoo", type=str, help="folder of the zoo")
        subcommands.add_subcommand(name, subparser, help=subparser.description)
    config = parser.parse_args(arguments)
    options = config[config.subcommand].as_dict()
    commands[config.subcommand](**options)


def fit(
    source: str,
    out: str,
    train: int,
    val: int = 0,
    test: int = 0,
    views: int = 1,
    eval_views: int = 1,
    recipe: str = "dwsnets",
    seed: int = 0,
    mode: str = "auto",
    device: str = "cpu",
    path: str | None = None,
    source_set: list[str] | None = None,
    set: list[str] | None = None,
) -> None:
    """Fits networks to the objects of a source. A run that was cut goes on with the same command.

    Under torchrun or srun, all processes fit, and the zoo is that of one process.

    Args:
        source: name of the source: digits, fashion-mnist, idx, cifar10, cifar100, images, shapes, meshes, classifiers,
            or one of a plugin.
        out: folder of the zoo.
        train: training objects.
        val: validation objects, from the source's own validation set if it has one, else from those for training.
        test: test objects, from the source's own test set if it has one, else from those for training.
        views: networks per training object.
        eval_views: networks per validation and test object.
        recipe: dwsnets, fast, siren, sdf (for solids), classifier, tanh, relu, or a YAML file with a recipe's fields.
        seed: decides which objects are drawn, and all initial weights.
        mode: compiled, eager, or auto (compiled where it pays and a compiler works).
        device: where to fit, for instance cuda.
        path: folder of the source's files, where it needs one.
        source_set: further arguments of the source, for instance size=32 colour=grey.
        set: changes of recipe fields, for instance steps=300 learning_rate=0.01.
    """
    arguments = key_values(source_set or [], "source_set") | ({} if path is None else {"path": path})
    with joined():
        console.quiet = rank() > 0
        _fit(source, out, ZooPlan(train, val, test, views, eval_views, seed), recipe, mode, device, arguments, set)


def _fit(
    source: str,
    out: str,
    plan: ZooPlan,
    recipe: str,
    mode: str,
    device: str,
    arguments: dict[str, Any],
    changes: list[str] | None,
) -> None:
    if mode not in ("auto", "compiled", "eager"):
        raise ConfigError(f"mode: expected auto, compiled or eager, found {mode!r}")
    if device == "cuda" and world_size() > 1:
        device = f"cuda:{rank() % max(1, torch.cuda.device_count())}"
    if plan.eval_views != 1 and not plan.val + plan.test:
        raise ConfigError(f"--eval_views {plan.eval_views} has no effect without --val and --test: leave it out")
    _check_device(device)
    objects = first_then_all(lambda: load_source(source, **arguments))  # one download, one look at files
    tell_left(console, list(objects.left_out))
    plan.rows(objects)  # so that impossible counts are told before a compiler runs
    chosen = load_recipe(recipe, key_values(changes or []))
    shared = f", shared by {world_size()} processes: below is the first one's part" if world_size() > 1 else ""
    console.print(f"{source}: {plan.networks} networks {chosen.spec(objects.in_dim, objects.out_dim)}{shared}")
    fitter = _fitter(chosen, objects, plan.networks, mode, device, Path(out))
    finished = (Path(out) / FILE).exists()
    try:
        header = _run(ZooFit(objects, plan, fitter, out))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped: whole shards in {out} are kept, the same command goes on") from None
    if finished:
        console.print("finished already: nothing to do")
    left_out = f", {len(header.left_out)} left out (they diverged twice)" if header.left_out else ""
    console.print(f"zoo of {header.rows} networks at {out}{left_out}")


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device).cpu()  # not on "meta", which holds no numbers
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error


def _fitter(recipe: Recipe, objects: Objects, networks: int, mode: str, device: str, out: Path) -> Fitter:
    """What makes the networks of these objects."""
    spec = recipe.spec(objects.in_dim, objects.out_dim)
    if isinstance(objects, ClassifierSource):
        if mode == "compiled":
            raise ConfigError("mode: classifiers are trained eagerly, give --mode eager or auto")
        if spec.activation == "sine":
            raise ConfigError(f"recipe {recipe.name!r} makes sine networks: classifiers need --recipe classifier")
        console.print(f"recipe {recipe.name}: up to {recipe.steps} steps, eager on {device}")
        return ClassifierFitter(recipe, spec, device)
    if not isinstance(objects, Source):
        raise ConfigError(f"source {objects.name!r} gives no functions to fit")
    return _function_fitter(recipe, objects, networks, mode, device, out)


def _function_fitter(
    recipe: Recipe, objects: Source, networks: int, mode: str, device: str, out: Path
) -> BatchedFitter:
    """A fitter in the asked mode; "auto" takes that of a finished zoo, else what pays and works."""
    spec, coordinates = recipe.spec(objects.in_dim, objects.out_dim), objects.points(torch.zeros(1, dtype=torch.int64))
    points = recipe.points_per_step or coordinates.shape[-2]
    finished = (out / FILE).exists()
    if mode == "auto":
        wanted = (
            ZooHeader.read(out).provenance.get("mode", "eager")
            if finished
            else choose_mode(recipe, spec, networks, points)
        )
    else:
        wanted = mode
    fitter = BatchedFitter(recipe, spec, coordinates, wanted, device, objects.uniform)
    if not finished:
        failure: RecipeError | None = None
        try:
            fitter.compile()
        except RecipeError as error:
            if mode == "compiled":
                raise
            failure = error
        if in_any_process(failure is not None):  # all alike: the last bits differ between the modes
            why = shown_lines(failure or "a process cannot compile")
            console.print(Text.assemble(("fitting eagerly:", "yellow"), f" {why}"))
            fitter = BatchedFitter(recipe, spec, coordinates, "eager", device, objects.uniform)
    cost = f" (in {fitter.compile_seconds:.1f} s)" if fitter.compile_seconds else ""
    console.print(f"recipe {recipe.name}: {recipe.steps} steps on {points} points, {fitter.mode}{cost} on {device}")
    return fitter


def _run(fit: ZooFit) -> ZooHeader:
    columns = (
        TextColumn("fitting"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("{task.fields[quality]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("fit", total=len(fit), rate="", quality="")
        began: tuple[float, int] | None = None
        unit = {"psnr": "dB"}.get(fit.fitter.quality[0], fit.fitter.quality[0])
        told = [0]

        def report(state: job.Progress) -> None:
            nonlocal began
            began = began or (time.perf_counter(), state.done)
            rate = (state.done - began[1]) / max(time.perf_counter() - began[0], 1e-9)
            quality = "" if state.quality is None else f"{state.quality:.2f} {unit}"
            quality += f", {state.refitted} diverged and were fitted again" if state.refitted else ""
            quality += f", {state.left_out} left out" if state.left_out else ""
            speed = f"{rate:.1f} INR/s" if rate else ""
            progress.update(task, completed=state.done, rate=speed, quality=quality)
            if rate and not console.is_terminal and state.done >= told[0] + SHARD_ROWS:
                told[0] = state.done  # a log gets a line per shard
                left = (state.total - state.done) / rate
                progress.print(f"{state.done}/{state.total} networks, {speed}, {left:.0f} s left, {quality}")

        return fit.run(report)


def info(zoo: str, out: str | None = None) -> None:
    """Tells what a zoo holds: counts, quality, weights of each layer, nearest pairs.

    Args:
        zoo: folder of the zoo.
        out: a PNG file, to draw it too.
    """
    opened = Zoo(zoo)
    console.print(zoo_table(opened), soft_wrap=False)
    if out is not None:
        save_figure(overview_figure(opened), out)
        console.print(f"picture at {out}")


def check(zoo: str, sample: int = 64, path: str | None = None, source: str | None = None) -> None:
    """Checks checksums, shapes and finiteness of all networks, and the PSNR of some against their source.

    Args:
        zoo: folder of the zoo.
        sample: how many networks to evaluate against the source; 0 for none.
        path: folder of the source's files, if they have moved.
        source: dotted path of the source, where the zoo names one: it is not imported otherwise.
    """
    if sample < 0:
        raise ConfigError(f"--sample must be at least 0, found {sample}")
    opened = Zoo(zoo, check=False)
    if not sample:
        _without_effect(" with --sample 0, which looks at no source: leave one of them out", path, source)
    _check_origin(opened.path, opened.header, path, source)
    for line in verify.verify(opened, sample, path, source):
        console.print(line)


def repair(zoo: str, drop: bool = False, path: str | None = None, source: str | None = None) -> None:
    """Fits the networks of damaged shards again, or drops them. The others are not touched.

    Args:
        zoo: folder of the zoo.
        drop: leave these networks out instead.
        path: folder of the source's files, if they have moved.
        source: dotted path of the source, where the zoo names one: it is not imported otherwise.
    """

    if drop:
        _without_effect(" with --drop, which needs no source: leave one of them out", path, source)

    def make_fit(header: ZooHeader) -> ZooFit:
        made = header.provenance
        if "source" not in made:
            raise ZooError(
                f"the networks of {zoo} were not fitted here: import them again, or drop them by --drop true"
            )
        _check_device(made["device"])
        objects = _source_of(Path(zoo), header, path, source)
        recipe, networks = origin.recipe_of(Path(zoo), header), header.rows
        fitter = _fitter(recipe, objects, networks, made["mode"], made["device"], Path(zoo))
        return ZooFit(objects, ZooPlan(**made["plan"]), fitter, zoo)

    for line in mend.repair(Path(zoo).expanduser(), None if drop else make_fit):
        console.print(line)


def show(
    zoo: str, out: str, count: int = 12, split: str = "train", path: str | None = None, source: str | None = None
) -> None:
    """Draws original objects beside what their networks compute (images, or shaded solids).

    Args:
        zoo: folder of the zoo.
        out: the PNG file to write.
        count: how many networks.
        split: train, val or test.
        path: folder of the source's files, if they have moved.
        source: dotted path of the source, where the zoo names one: it is not imported otherwise.
    """
    opened = Zoo(zoo)
    _check_origin(opened.path, opened.header, path, source)
    fitted = "source" in opened.header.provenance
    objects = _source_of(opened.path, opened.header, path, source) if fitted else None
    save_figure(zoo_figure(opened, objects, count, split), out)
    console.print(f"picture at {out}")


def _source_of(zoo: Path, header: ZooHeader, path: str | None, source: str | None) -> Objects:
    for line in origin.told_arguments(header, path):
        console.print(line)
    return origin.source_of(zoo, header, path, source)


def _check_origin(zoo: Path, header: ZooHeader, path: str | None, source: str | None) -> None:
    if "source" not in header.provenance:
        _without_effect(f": {zoo} was not fitted here, and does not say to which source", path, source)


def _without_effect(reason: str, path: str | None, source: str | None) -> None:
    """Refuses options about a source where none is looked at."""
    for name, value in (("path", path), ("source", source)):
        if value is not None:
            raise ConfigError(f"--{name} has no effect{reason}")
