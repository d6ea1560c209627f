"""Markdown that commands write: tables of measured figures, and sections between two marks."""

import re
import statistics
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns but the first are aligned to the right."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, marks, *rows))


def mean_and_sd(values: Iterable[float], form: str = ".3f") -> str:
    """Mean ± sample standard deviation; the mean alone of a single value or of equal ones.

    Args:
        values: Nothing is written of none.
        form: Of either number, as `format` takes it.
    """
    values = list(values)
    if not values:
        return ""
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    text = f"{statistics.fmean(values):{form}}" + (f" ± {sd:{form}}" if sd > 0 else "")
    return text.replace("-", "−")


def section_of(page: str, name: str) -> str:
    """What stands between the marks `<!-- name -->` and `<!-- /name -->`."""
    return _section(page, name)["text"]


def with_section(page: str, name: str, text: str) -> str:
    """A page with the text between a section's two marks replaced.

    Args:
        page: Exits the program if it has no such marks.
        name: Of the section.
        text: Whole lines.
    """
    begin, end = _section(page, name).span("text")
    return page[:begin] + text + page[end:]


def _section(page: str, name: str) -> re.Match[str]:
    found = re.search(f"<!-- {name} -->\n(?P<text>.*?)<!-- /{name} -->", page, re.DOTALL)
    if found is None:
        raise SystemExit(
            f"the page has no section {name}: add <!-- {name} --> and <!-- /{name} --> on lines of "
            "their own where it should stand"
        )
    return found
