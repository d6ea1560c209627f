"""Measure how far every objective is from its equation; write the tables to docs/equivalence.md.

python -m tools.equivalence     rewrites the tables between their two marks
"""

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from cases.objectives import CASES

from tools.equivalence_errors import (
    DIM,
    EXAMPLES,
    IMPLEMENTATIONS,
    LOW_TEMPERATURE,
    PRECISIONS,
    Errors,
    Key,
    all_errors,
)
from tools.machine import processor, versions
from tools.markdown import table, with_section

PAGE = Path(__file__).parent.parent / "docs" / "equivalence.md"


def largest(errors: Iterable[Errors]) -> Errors:
    """The largest of the values' errors, and of the gradients'."""
    values, gradients = zip(*errors, strict=True)
    return Errors(max(values), max(gradients))


def cell(errors: Errors) -> str:
    """Value's and gradient's error to one digit: `9e-9 / 2e-7`."""
    return " / ".join(re.sub(r"e-0?", "e-", f"{error:.0e}") if error else "0" for error in errors)


def name(case: str) -> str:
    """A case with its objective as code: "`info_nce` symmetric"."""
    objective, *more = case.split(" ", 1)
    return " ".join((f"`{objective}`", *more))


def table_of(head: str, columns: Iterable[str], lines: Mapping[str, Iterable[Errors]]) -> str:
    """A table of errors, one line a name."""
    return table([head, *columns], [[title, *map(cell, each)] for title, each in lines.items()])


def section(errors: Mapping[Key, Errors]) -> str:
    """All tables: the largest errors, each precision's, and those at a low temperature."""
    where = f"{versions('torch')}; {processor()}; {EXAMPLES} examples in {DIM} dimensions."
    parts = [
        f"{where}\n",
        "## The largest of all objectives\n",
        table_of(
            "precision",
            IMPLEMENTATIONS,
            {
                precision: [
                    largest(errors[case.name, way, precision] for case in CASES)
                    for way in IMPLEMENTATIONS
                ]
                for precision in PRECISIONS
            },
        ),
    ]
    for precision in PRECISIONS:
        lines = {
            name(case.name): [errors[case.name, way, precision] for way in IMPLEMENTATIONS]
            for case in CASES
        }
        parts += [f"## {precision}\n", table_of("objective", IMPLEMENTATIONS, lines)]
    lines = {
        name(case.name.removesuffix(" at low temperature")): [
            largest(errors[case.name, way, precision] for way in IMPLEMENTATIONS)
            for precision in PRECISIONS
        ]
        for case in LOW_TEMPERATURE
    }
    parts += ["## At a temperature of 0.01\n", table_of("objective", PRECISIONS, lines)]
    return "\n".join(parts)


def main() -> None:
    """Measure everything and rewrite the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        errors = all_errors(Path(folder))
    PAGE.write_text(with_section(PAGE.read_text(), "equivalence", section(errors)))


if __name__ == "__main__":
    main()
