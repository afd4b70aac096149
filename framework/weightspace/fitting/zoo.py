"""Making a zoo by fitting networks to the objects of a source: ``fit_zoo``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightspace.checks import check_path
from weightspace.constructed import check_constructed
from weightspace.distributed import first_then_all, joined, world_size
from weightspace.distributed.device import choose_device
from weightspace.errors import ConfigError, RecipeError, SourceError, closest
from weightspace.fitting import job
from weightspace.fitting.choose import architecture, choose_fitter, description
from weightspace.fitting.job import ZooFit, ZooPlan
from weightspace.fitting.recipes import FIELDS, Recipe, load_recipe
from weightspace.progress import Display
from weightspace.sources.base import Objects, load_source
from weightspace.zoo import Zoo
from weightspace.zoo.header import FILE, ZooHeader
from weightspace.zoo.resumable import resumable


def fit_zoo(
    source: str | Objects,
    out: str | Path,
    *,
    train: int,
    val: int = 0,
    test: int = 0,
    views: int = 1,
    eval_views: int = 1,
    recipe: str | Path | Recipe = "dwsnets",
    seed: int = 0,
    mode: str = "auto",
    device: str = "cpu",
    path: str | Path | None = None,
    source_arguments: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    **changes: Any,
) -> Zoo:
    """Fits networks to the objects of a source. Running an interrupted fit again resumes it.

    Under torchrun or srun, all processes share the work; the bytes of the zoo do not depend on their number.

    Args:
        source: name of the source: digits, mnist-5k, fashion-mnist, silhouettes, clip-art, idx, cifar10, cifar100,
            images, shapes, meshes, furniture, classifiers, cnns, or one of a plugin; in Python also a source object.
        out: folder of the zoo.
        train: training objects, at least 1.
        val: validation objects, from the source's own validation set if it has one, else from those for training.
        test: test objects, from the source's own test set if it has one, else from those for training.
        views: networks per training object.
        eval_views: networks per validation and test object.
        recipe: dwsnets, quick, fast, siren, sdf (for solids), classifier, cnn, tanh, relu, or a YAML file with a
            recipe's fields; in Python also a ``Recipe``.
        seed: decides which objects are drawn, and all initial weights.
        mode: compiled, eager, or auto (compiled if it pays and there is a working compiler).
        device: device on which to fit, for instance cuda.
        path: folder of the source's files, if it needs one.
        source_arguments: further arguments of the source, as {"size": 32}.
        progress: whether to show lines and a bar; by default on a terminal and in a notebook.
        changes: changes of recipe fields, as steps=300.

    Raises:
        SourceError: the source is unknown, or its files are missing or damaged.
        RecipeError: the recipe or a field is unknown, or a value is out of range.
        ConfigError: an argument is wrong or has no effect, or the device cannot be used.
        ZooError: the folder cannot be written or contains another zoo, or the source has fewer objects than requested.

    >>> import tempfile
    >>> zoo = fit_zoo("digits", tempfile.mkdtemp(), train=8, val=2, recipe="siren", hidden=[4, 4], steps=2)
    >>> len(zoo), str(zoo.spec)
    (10, '2-4-4-1 sine, omega 30, output +0.5')
    """
    _check_names(changes)
    check_path("out", out)
    chosen, plan = load_recipe(recipe, changes), ZooPlan(train, val, test, views, eval_views, seed)
    if eval_views != 1 and not val + test:
        raise ConfigError(f"eval_views {eval_views} has no effect without val and test: leave it out")
    with joined():
        display, where = Display(progress), choose_device(device)
        objects = _objects(source, path, source_arguments or {})
        display.list_left_out(objects.left_out)
        plan.rows(objects)  # refuses impossible counts before compiling
        shared = f", shared by {world_size()} processes: progress is that of rank 0" if world_size() > 1 else ""
        spec = architecture(chosen, objects)
        display.say(f"{objects.name}: {plan.networks} networks {spec}{shared}")
        made_in = _mode_of(Path(out).expanduser())
        fitter = choose_fitter(chosen, objects, plan.networks, mode, where, made_in, display.warn)
        display.say(description(fitter))
        header = run_fit(ZooFit(objects, plan, fitter, out), display)
        if made_in is not None:
            display.say("finished already: nothing to do")
        left_out = f", {len(header.left_out)} left out (they diverged twice)" if header.left_out else ""
        display.say(f"zoo of {header.rows} networks at {out}{left_out}")
        return Zoo(out, check=made_in is not None)  # run_fit has checked the shards that it has not written itself


def run_fit(fit: ZooFit, display: Display) -> ZooHeader:
    """Runs a fit and shows its progress and the quality of its networks."""
    name = fit.fitter.quality[0]
    unit = {"psnr": "dB"}.get(name, name)
    with display.bar("fitting") as report:

        def show(state: job.Progress) -> None:
            notes = [f"{state.quality:.2f} {unit}"] if state.quality is not None else []
            notes += [f"{state.refitted} diverged and were fitted again"] if state.refitted else []
            notes += [f"{state.left_out} left out"] if state.left_out else []
            report(state.done, state.total, ", ".join(notes))

        with resumable(f"complete shards in {fit.writer.path} are kept"):
            return fit.run(show, display)


def _check_names(changes: Mapping[str, Any]) -> None:
    """Raises RecipeError if a keyword is neither an argument of ``fit_zoo`` nor a field of a recipe."""
    arguments = inspect.signature(fit_zoo).parameters.keys() - {"changes"}
    for name in changes.keys() - FIELDS:
        raise RecipeError(
            f"{name!r} is neither an argument of fit_zoo nor a field of a recipe: {closest(name, arguments | FIELDS)}"
        )


def _objects(source: str | Objects, path: str | Path | None, arguments: Mapping[str, Any]) -> Objects:
    given = dict(arguments) | ({} if path is None else {"path": str(path)})
    if not isinstance(source, Objects):
        return first_then_all(lambda: load_source(source, **given))  # so that files are downloaded once
    check_constructed(source, SourceError, f"source {type(source).__name__}")
    if given:
        raise ConfigError(f"{', '.join(given)}: has no effect if the source is given as an object: leave it out")
    return source


def _mode_of(out: Path) -> str | None:
    """The mode in which the zoo in a folder was made; None if there is no finished zoo."""
    return ZooHeader.read(out).provenance.get("mode", "eager") if (out / FILE).exists() else None
