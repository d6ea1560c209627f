"""Check what every method can do; write the table to docs/method_properties.md.

python -m tools.methods_table     rewrites the table between its two marks
"""

import tempfile
from pathlib import Path

import torch
from tests.methods.method_properties import (
    CASES,
    EXAMPLES,
    LEARNS,
    Case,
    learns,
    needs_labels,
    outcomes_on_ranks,
    refusal_of,
    resumes,
    same_in_parts,
    same_on_ranks,
)

from tools.machine import versions

PAGE = Path(__file__).parent.parent / "docs" / "method_properties.md"
BEGIN, END = "<!-- methods -->\n", "<!-- /methods -->"
YES = "✓"
COLUMNS = ("2 ranks", "in parts", "resume", *EXAMPLES, "labels", LEARNS)


def found(folder: Path) -> dict[str, dict[str, str]]:
    """What every case does, by title and column, all of it tried; without learning.

    Args:
        folder: Empty; the runs lie here.
    """
    on_ranks = outcomes_on_ranks(folder / "ranks")
    table = {}
    for number, case in enumerate(CASES):
        cells = {
            "2 ranks": _told(case, "2 ranks", same_on_ranks(case, on_ranks)),
            "in parts": _told(case, "in parts", same_in_parts(case)),
            "resume": _told(case, "resume", resumes(case, folder / f"resumed-{number}")),
            "labels": "needed" if needs_labels(case) else "not needed",
        }
        for modality in EXAMPLES:
            refusal = refusal_of(case, modality)
            cells[modality] = YES if refusal is None else f"no: {refusal}"
        table[case.title] = cells
    return table


def learnt(folder: Path) -> dict[str, str]:
    """How well every case learns digits, by title: `81.2 → 96.4`."""
    cells = {}
    for number, case in enumerate(CASES):
        before, after = learns(case, folder / f"learning-{number}")
        reason = f": {case.apart[LEARNS]}" if LEARNS in case.apart else ""
        cells[case.title] = f"{before:.1f} → {after:.1f}{reason}"
    return cells


def section(cells: dict[str, dict[str, str]]) -> str:
    """The table as it stands on the page.

    Args:
        cells: Of each case and column.
    """
    head = ["method", *COLUMNS]
    rows = [[title, *(by_column[each] for each in COLUMNS)] for title, by_column in cells.items()]
    lines = [head, ["---"] * len(head), *rows]
    return f"{versions('torch')}.\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def section_of(page: str) -> str:
    """What stands between the two marks."""
    return page.split(BEGIN)[1].split(END)[0]


def main() -> None:
    """Check everything and rewrite the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cells = found(Path(folder))
        for title, figures in learnt(Path(folder)).items():
            cells[title][LEARNS] = figures
    page = PAGE.read_text()
    PAGE.write_text(page.replace(BEGIN + section_of(page), BEGIN + section(cells)))


def _told(case: Case, column: str, holds: bool) -> str:
    """Whether a property holds; where it cannot, why."""
    if holds:
        return YES
    return f"no: {case.apart[column]}" if column in case.apart else "**fails**"


if __name__ == "__main__":
    main()
