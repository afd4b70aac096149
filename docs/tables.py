"""Writes the tables of recorded studies into the pages that show them, and draws their figures.

`python docs/tables.py` after a study has ended. A page says where: between the two lines

    <!-- table of experiments/studies/NAME.yaml -->
    <!-- end of table -->

everything is replaced. A figure is drawn if the page shows it, as `docs/pictures/studies/NAME.png`. With `--check`,
nothing is written, and the exit code is 1 if a table is not that of its record.
"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

from weightspace.cli.tables import markdown
from weightspace.figures.images import save_figure
from weightspace.figures.study import differences_figure
from weightspace.figures.worth import worth_figure
from weightspace.studies.cells import cells_of
from weightspace.studies.curve import worths_of
from weightspace.studies.record import Record
from weightspace.studies.study import Study, read_study
from weightspace.studies.table import columns_of, entries_of

ROOT = Path(__file__).parents[1]
PAGES = ("experiments/README.md", "benchmarks/README.md")
PICTURES = Path("docs/pictures/studies")
BLOCK = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def table_text(study: Study) -> str:
    """The table in Markdown, with a line that says how many runs there are, and how long they took."""
    cells, record = cells_of(study), Record(study.record_file)
    entries = entries_of(study, cells, record)
    table = markdown(columns_of(study, entries, worths_of(study, entries)))
    seconds = [max(result.whole, result.seconds) for entry in entries.values() for result in entry.results.values()]
    runs = f"{len(seconds)} runs" if len(seconds) == len(cells) else f"{len(seconds)} of {len(cells)} runs"
    hours = timedelta(seconds=round(sum(seconds)))
    each = sum(seconds) / max(1, len(seconds)) / 60
    return f"\n{table}\n{study.title}: {runs}, {each:.1f} minutes each, {hours} hours in all.\n\n"


def draw(study: Study) -> None:
    """Draws the figure of a study."""
    entries = entries_of(study, cells_of(study), Record(study.record_file))
    worths = worths_of(study, entries)
    figure = worth_figure(study, entries, worths) if study.amounts else differences_figure(study, entries)
    (ROOT / PICTURES).mkdir(parents=True, exist_ok=True)
    save_figure(figure, str(ROOT / PICTURES / f"{study.name}.png"))


def updated(text: str) -> tuple[str, list[Study]]:
    """A page with the tables that the records have now, and their studies."""
    studies = {path: read_study(ROOT / path) for _, path, _ in BLOCK.findall(text)}
    return BLOCK.sub(lambda found: f"{found[1]}{table_text(studies[found[2]])}{found[3]}", text), list(studies.values())


def main(check: bool) -> int:
    """Updates all pages; returns the exit code."""
    outdated = 0
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        new, studies = updated(text)
        if new != text:
            outdated += 1
            print(f"{page}: {'not as recorded: python docs/tables.py' if check else 'updated'}")
        if not check:
            path.write_text(new, encoding="utf-8")
            for study in studies:
                if f"studies/{study.name}.png" in new:
                    draw(study)
    return int(check and outdated > 0)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
