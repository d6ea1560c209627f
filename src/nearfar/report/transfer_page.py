"""The page of a transfer, which opens offline and asks no server for anything."""

from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nearfar.evaluation.transfer import PROTOCOLS
from nearfar.report.transfer_table import Table


def page(table: Table) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=PackageLoader("nearfar.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("nearfar.report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    return environment.get_template("transfer.html").render(
        version=version("nearfar"),
        style=Markup(style),
        sets=list(table.sets()),
        protocols={name: title for name, (title, _) in PROTOCOLS.items()},
        notes=table.notes,
        draws=table.draws,
    )
