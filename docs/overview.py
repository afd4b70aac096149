"""The benchmark: all data sets, all backbones, without and with augmentation, from the records of several studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from measured import table_text
from weightspace.runs.metric_text import mean_text
from weightspace.studies.table import NOT_RUN, Entry

BACKBONES = ("DWS", "GNN", "ScaleGNN", "Probe", "MLP")
VARIANTS = ("none", "combination + mixup_aligned")
METRIC = "test/accuracy"
#: Studies of each data set, and the column that rows without columns are of.
DATA = {
    "Fashion-MNIST": ("augmentations", "graphs", "probe_and_mlp"),
    "MNIST digits": ("mnist_5k",),
    "silhouettes": ("silhouettes",),
    "clip art": ("clip_art",),
    "furniture": ("furniture", "furniture_backbones"),
}
WITHOUT_COLUMNS = "DWS"


def overview(entries_of: Callable[[str], Mapping[tuple[str, str], Entry]]) -> str:
    """The table in Markdown.

    Args:
        entries_of: what is known of a study, by (variant, column), from its name.
    """
    known = {data: _joined([entries_of(name) for name in names]) for data, names in DATA.items()}
    lines = [["backbone", "augmentation", *DATA]]
    for backbone in BACKBONES:
        for variant in VARIANTS:
            cells = [_text(entries.get((variant, backbone), NOT_RUN)) for entries in known.values()]
            lines.append([backbone, variant, *cells])
    return table_text(lines)


def _joined(studies: list[Mapping[tuple[str, str], Entry]]) -> dict[tuple[str, str], Entry]:
    return {
        (variant, column or WITHOUT_COLUMNS): entry
        for entries in studies
        for (variant, column), entry in entries.items()
    }


def _text(entry: Entry) -> str:
    values = entry.values(METRIC)
    return f"{mean_text(METRIC, values)} ({len(values)})" if values else "not run yet"
