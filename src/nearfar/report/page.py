"""One self-contained HTML page from a template: style, scripts and figures are inside it."""

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nearfar.report.charts import shortened


def render(
    template: str,
    *,
    package: str = "nearfar.report",
    charts: bool = True,
    sorts: bool = False,
    **content: Any,
) -> str:
    """A page that opens offline and asks no server for anything; all that it shows is escaped.

    Args:
        template: Its file among the templates of the package.
        package: Whose; the report's macros, style and script are there for every page.
        charts: Whether it shows any; what draws them is four megabytes.
        sorts: Whether a click on a column's head sorts the tables of class `sortable`.
        content: What the template shows.
    """
    drawing = [get_plotlyjs(), chart_script()] if charts else []
    scripts = [*drawing, *([template_text("sort.js")] if sorts else [])]
    page = environment(package).get_template(template)
    return page.render(
        version=version("nearfar"),
        policy=_content_security_policy(scripts),
        scripts=[Markup(script) for script in scripts],
        style=Markup(template_text("page.css")),
        **content,
    )


@cache
def environment(package: str) -> Environment:
    """Templates of a package, and ours behind them; all that they show is escaped.

    It keeps the compiled templates: to compile them takes longer than to fill them.

    Args:
        package: Whose.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("nearfar.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"figure_json": _figure_json, "shortened": shortened}
    return made


def chart_script() -> str:
    """What draws the charts of a page, beside plotly."""
    return template_text("paint.js") + template_text("page.js")


def _content_security_policy(scripts: Sequence[str]) -> str:
    """Nothing is loaded and only our own scripts run, whatever slips through the escaping."""
    ours = [
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts
    ]
    hashes = " ".join(ours or ["'none'"])
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _figure_json(figure: go.Figure) -> Markup:
    """A figure as JSON that cannot end the script element it stands in."""
    text = figure.to_json() or ""
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def template_text(name: str) -> str:
    """A file among the templates of the report, as it is."""
    return files("nearfar.report").joinpath("templates", name).read_text(encoding="utf-8")
