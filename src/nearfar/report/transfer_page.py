"""The page of a transfer, which opens offline and asks no server for anything."""

from nearfar.evaluation.transfer import PROTOCOLS
from nearfar.report.page import render
from nearfar.report.transfer_table import Table


def page(table: Table) -> str:
    """The whole page as text."""
    return render(
        "transfer.html",
        charts=False,
        sets=list(table.sets()),
        protocols={name: title for name, (title, _) in PROTOCOLS.items()},
        notes=table.notes,
        draws=table.draws,
    )
