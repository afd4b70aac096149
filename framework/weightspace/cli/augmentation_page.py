"""Output of ``weightspace augmentations``: the table of all augmentations, and the page and picture of one."""

from __future__ import annotations

import inspect
import json

from jsonargparse import Namespace
from matplotlib.figure import Figure
from rich.table import Column, Table
from rich.text import Text

from weightspace.augment import Augmentation, build_augmentations, find_augmentation, list_augmentations
from weightspace.augment.attributes import by_instance
from weightspace.augment.registry import parameters_of
from weightspace.checks import check_whole
from weightspace.cli.console import make_console
from weightspace.cli.parser import key_values
from weightspace.entry_points import AUGMENTATIONS, origin
from weightspace.errors import AugmentationError, ConfigError
from weightspace.figures.augmentation import augmentation_figure
from weightspace.figures.images import save_figure
from weightspace.text import shown, shown_lines
from weightspace.zoo import Zoo
from weightspace.zoo.splits import evenly_spaced

#: Largest values of options for which a picture is still readable.
LIMITS = {"count": (1, 32), "draws": (1, 16), "seed": (0, 2**32 - 1)}
#: Of --side, by the number of coordinates that networks take.
SIDES = {2: (2, 512), 3: (8, 128)}

#: Stands where something depends on the parameters, as for augmentations that are made of others.
DEPENDS = "by parameters"

console = make_console()


def print_list() -> None:
    """Prints a table of the installed augmentations."""
    console.print(_table(), soft_wrap=False)


def print_page(options: Namespace) -> None:
    """Prints a description of one augmentation and, if a zoo is given, draws its effect.

    Args:
        options: options of ``weightspace augmentations show``.
    """
    made = _made(options) if options.zoo is not None or options.set else None
    figure = None if made is None or options.zoo is None else _figure(options, made)
    _show(options.name, made)
    if figure is not None:
        save_figure(figure, options.out)
        console.print(f"picture at {options.out}")


def _table() -> Table:
    others = ("family", "keeps", "valid for", "labels", "parameters", "distribution")
    table = Table(Column("name", no_wrap=True), *(Column(title, overflow="fold") for title in others))
    for name, found in list_augmentations().items():
        owner = origin(AUGMENTATIONS, name)
        if isinstance(found, AugmentationError):
            table.add_row(name, "", Text(shown_lines(found), "red"), "", "", "", owner)
            continue
        keeps, valid, labels = _facts(found)
        table.add_row(name, found.family, keeps, valid, labels, parameters_of(found), owner)
    return table


def _show(name: str, made: Augmentation | None) -> None:
    """Prints the page of an augmentation; of one with parameters, what holds with these."""
    cls = find_augmentation(name)
    owner = f" ({origin(AUGMENTATIONS, name)}, {cls.__module__}.{cls.__qualname__})"
    console.print(Text.assemble((shown(name), "bold"), shown(owner)))
    console.print(inspect.cleandoc(cls.__doc__ or "(no description)"))
    keeps, valid, _ = _facts(made or cls)
    console.print(f"keeps: {keeps or 'nothing exactly'}; valid for: {valid}")
    console.print(f"in YAML: - {name}: {{{', '.join(_in_yaml(cls))}}}")


def _in_yaml(cls: type[Augmentation]) -> list[str]:
    """Parameters with their defaults as YAML; "..." for those that have none."""
    parameters = inspect.signature(cls).parameters.values()
    return [f"{p.name}: {'...' if p.default is p.empty else json.dumps(p.default, default=str)}" for p in parameters]


def _made(options: Namespace) -> Augmentation:
    """The augmentation with the parameters that are set."""
    (augmentation,) = build_augmentations([{options.name: key_values(options.set or [])}])
    return augmentation


def _figure(options: Namespace, augmentation: Augmentation) -> Figure:
    """Draws the requested picture."""
    for name, (low, high) in LIMITS.items():
        check_whole(f"--{name}", options[name], low, high)
    if not options.out.endswith(".png"):
        raise ConfigError(f"--out: pictures are PNG files, expected a name that ends in .png, found {options.out!r}")
    zoo = Zoo(options.zoo)
    if zoo.spec.coordinates not in SIDES:
        raise ConfigError(f"pictures are of networks of two or three coordinates, {zoo.path} has {zoo.spec}")
    if options.side is not None:
        check_whole("--side", options.side, *SIDES[zoo.spec.coordinates])
    rows = zoo.rows("train", first_view_only=True)
    if not len(rows):
        raise ConfigError(f"{zoo.path} has no training networks")
    augmentation.check(zoo.spec, "class" if zoo.class_names else "value")
    shown_rows = rows[evenly_spaced(len(rows), options.count)]
    batch = zoo.batch(shown_rows)
    if used := augmentation.stored_alignment:
        batch = batch.replace(frame=zoo.alignment(used).frames(shown_rows))
    return augmentation_figure(
        augmentation, batch, zoo.class_names, zoo.value_range, options.draws, options.side, options.seed
    )


def _facts(subject: Augmentation | type[Augmentation]) -> tuple[str, str, str]:
    """What it keeps, the activations that it is valid for, and whether it changes labels, in words."""
    keeps, valid, labels = subject.exact, subject.activations, subject.uses_labels
    kept = {"function": "the function", "input": "the function of the moved input", None: ""}
    return (
        DEPENDS if by_instance(keeps) else kept[keeps],
        DEPENDS if by_instance(valid) else ", ".join(sorted(valid)) or "none",
        DEPENDS if by_instance(labels) else "changed" * labels,
    )
