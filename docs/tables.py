"""Writes the tables of recorded studies into the pages that show them, and draws their figures.

`python docs/tables.py` after a study has ended. A page says where: between the two lines

    <!-- table of experiments/studies/NAME.yaml -->
    <!-- end of table -->

everything is replaced; of a study without results, they say so. The table of all data sets is between
`<!-- overview -->` and the same end. A figure is drawn if the page shows it, as
`docs/pictures/studies/NAME.png`. With `--check`, nothing is written, and the exit code is 1 if a table is not that of
its record.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from overview import overview
from weightspace.cli.tables import markdown, titled
from weightspace.studies.cells import cells_of
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record, Result
from weightspace.studies.study import Study, read_study
from weightspace.studies.table import Entry, entries_of, tables_of
from weightspace.studies.worth import Worth

ROOT = Path(__file__).parents[1]
PAGES = ("experiments/README.md", "benchmarks/README.md", "docs/why-views.md")
OVERVIEW = re.compile(r"(<!-- overview -->\n).*?(<!-- end of table -->)", re.DOTALL)
PICTURES = Path("docs/pictures/studies")
BLOCK = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


@dataclass(frozen=True)
class Results:
    """What is recorded of a study: its cells by (variant, column), the runs that have ended, and how many it has."""

    study: Study
    entries: dict[tuple[str, str], Entry]
    worths: dict[tuple[str, str], Worth]
    ended: list[Result]
    runs: int


def results_of(path: str) -> Results:
    """Reads a study and its record."""
    study = read_study(ROOT / path)
    cells = cells_of(study)
    record = Record(study.record_file)
    entries = entries_of(study, cells, record)
    return Results(study, entries, worths_of(study, entries), record.ended(cells), len(cells))


def table_text(found: Results) -> str:
    """The table in Markdown, with a line that says how many runs there are, and how long they took."""
    ended = found.ended
    if not ended:
        return "\nThis study has not been run yet.\n\n"
    table = titled(tables_of(found.study, found.entries, found.worths), markdown, "**{}**\n")
    seconds = sum(max(result.whole, result.seconds) for result in ended)
    runs = f"{len(ended)} runs" if len(ended) == found.runs else f"{len(ended)} of {found.runs} runs"
    each, hours = seconds / max(1, len(ended)) / 60, timedelta(seconds=round(seconds))
    return f"\n{table}\n{found.study.title}: {runs}, {each:.1f} minutes each, {hours} hours in all.\n\n"


def with_tables(text: str, results: dict[str, Results]) -> str:
    """A page with the tables that the records have now; results by the path of their study."""
    text = BLOCK.sub(lambda block: f"{block[1]}{table_text(results[block[2]])}{block[3]}", text)
    return OVERVIEW.sub(lambda block: f"{block[1]}\n{overview(_entries)}\n{block[2]}", text)


def _entries(name: str) -> dict[tuple[str, str], Entry]:
    return results_of(f"experiments/studies/{name}.yaml").entries


def draw(found: Results) -> None:
    """Draws the figure of a study."""
    # imported here: --check needs neither matplotlib nor torch
    from weightspace.figures.images import save_figure
    from weightspace.figures.study import differences_figure
    from weightspace.figures.worth import worth_figure

    study, entries = found.study, found.entries
    figure = worth_figure(study, entries, found.worths) if study.amounts else differences_figure(study, entries)
    (ROOT / PICTURES).mkdir(parents=True, exist_ok=True)
    save_figure(figure, str(ROOT / PICTURES / f"{study.name}.png"))


def main(check: bool) -> int:
    """Updates all pages; returns the exit code."""
    outdated = 0
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        results = {name: results_of(name) for _, name, _ in BLOCK.findall(text)}
        new = with_tables(text, results)
        if new != text:
            outdated += 1
            print(f"{page}: {'not as recorded: python docs/tables.py' if check else 'updated'}")
        if not check:
            path.write_text(new, encoding="utf-8")
            for found in results.values():
                if found.ended and f"studies/{found.study.name}.png" in new:
                    draw(found)
    return int(check and outdated > 0)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
