"""The pages and what they ask for: each route a function that reads, and none that writes."""

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import printable
from nearfar.report.build import report_page
from nearfar.report.page import chart_script, template_text
from nearfar.sweeps.found_runs import FoundRun
from nearfar.sweeps.run_table import (
    COLUMNS,
    HIGHEST_FIRST,
    NOTE,
    NUMBERS,
    Condition,
    cells,
    chosen,
    ordered,
)
from nearfar.web.answers import failure, html, number, refusal, unless_seen
from nearfar.web.gate import Gate
from nearfar.web.live_charts import live_charts
from nearfar.web.nearest import Searched, search
from nearfar.web.run_curves import KeptCurves
from nearfar.web.run_pages import differences, map_facts, run_facts, runs_in_words
from nearfar.web.run_progress import progress
from nearfar.web.runs_below import NoSuchRunError, RunsBelow
from nearfar.web.searches import Searches

_ROWS = 200
"""Runs that the list shows until more are asked for."""
_MOST_ROWS = 5_000
_MOST_BROKEN = 50
"""Folders that cannot be read which are named."""
_MOST_RUNS = 12
"""Runs over one another in one chart."""
_SCRIPTS = ("common.js", "runs.js", "run.js", "neighbors.js")


class Site:
    """The site of one folder of runs.

    Args:
        folder: Whose runs are shown.

    Raises:
        NearfarError: There is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        self._below = RunsBelow(folder)
        self._curves = KeptCurves()
        self._searches: Searches[Searched] = Searches(search)
        self._static = _static_files()

    def routes(self) -> list[Route]:
        """All that is answered; functions that are not coroutines run in threads."""
        return [
            Route("/", self.runs),
            Route("/run", self.run),
            Route("/map", self.map),
            Route("/neighbors", self.neighbors),
            Route("/report", self.report),
            Route("/api/runs", self.listed),
            Route("/api/curves", self.curves),
            Route("/api/search", self.search),
            Route("/api/examples", self.examples),
            Route("/api/nearest", self.nearest),
            Route("/api/typed", self.typed),
            Route("/static/{name}", self.static),
        ]

    def runs(self, _: Request) -> Response:
        """The list of all runs; its rows are asked for by its script."""
        heads = [
            (name, title, name in NUMBERS, name in HIGHEST_FIRST) for name, title in COLUMNS.items()
        ]
        folder = printable(str(self._below.folder.resolve()))
        return html("runs.html", folder=folder, heads=heads, note=NOTE, most=_MOST_RUNS)

    def listed(self, request: Request) -> Response:
        """Rows of the list: those that are wanted, in the order that is wanted."""
        asked = request.query_params
        listing = self._below.listing()
        ids = {id(run): name for name, run in listing.runs.items()}
        runs = list(listing.runs.values())
        wanted = chosen(runs, _conditions(asked.get("filter", "")))
        wanted = ordered(wanted, asked.get("sort", "name"), reverse="reverse" in asked)
        shown = wanted[: number(request, "most", _ROWS, _MOST_ROWS)]
        return unless_seen(
            request,
            {
                "rows": [self._row(ids[id(run)], run) for run in shown],
                "wanted": len(wanted),
                "found": len(runs),
                "states": runs_in_words([run.state for run in runs]),
                "broken": listing.broken[:_MOST_BROKEN],
                "more_broken": max(0, len(listing.broken) - _MOST_BROKEN),
            },
        )

    def run(self, request: Request) -> Response:
        """One run, or several over one another."""
        paths = self._paths(request)
        names = {run: self._below.name(run) for run in paths}
        if len(paths) > 1:
            differing, problems = differences({names[run]: path for run, path in paths.items()})
            return html("compare.html", runs=names, differing=differing, problems=problems)
        ((run, path),) = paths.items()
        return html("run.html", id=run, name=names[run], **run_facts(path))

    def curves(self, request: Request) -> Response:
        """How far runs are, and all that they have logged."""
        paths = self._paths(request)
        listed = self._below.listing().runs
        held = {run: self._curves.of(path) for run, path in paths.items()}
        told = []
        for run, path in paths.items():
            row = listed.get(run)
            far = {"share": None, "text": ""} if row is None else progress(row, path).as_json()
            state = "gone" if row is None else row.state
            words = [printable(line) for line in held[run].told]
            told.append({"id": run, "state": state, "progress": far, "told": words})
        charts = live_charts({self._below.name(run): each for run, each in held.items()})
        return unless_seen(
            request,
            {
                "runs": told,
                "charts": [
                    {"id": each.id, "title": each.title, "figure": each.figure.to_plotly_json()}
                    for each in charts
                ],
            },
        )

    def map(self, request: Request) -> Response:
        """The maps of a run's features, as its report shows them."""
        run, path = self._path(request)
        return html("map_page.html", id=run, name=self._below.name(run), run=map_facts(path))

    def report(self, request: Request) -> Response:
        """The report of a run, or of several, made now from what they hold.

        The report.html that lies in a run is not sent: anyone may have written it.
        """
        page = report_page(list(self._paths(request).values()))
        response = Response(page.encode(errors="backslashreplace"), media_type="text/html")
        # Its own scripts are inside it, by their hashes; from here it may ask for nothing.
        response.headers["Content-Security-Policy"] = (
            "sandbox allow-scripts; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    def neighbors(self, request: Request) -> Response:
        """Test examples and what lies near them; its script asks for all of it."""
        run, _ = self._path(request)
        return html("neighbors.html", id=run, name=self._below.name(run))

    def search(self, request: Request) -> Response:
        """How far the search of a run is; it begins when it is first asked for."""
        _, path = self._path(request)
        state = self._searches.state(path)
        if state.get("ready"):
            ready = self._searches.ready(path)
            state |= {"told": ready.told, "notes": ready.notes, "asks": ready.asks()}
        return unless_seen(request, state)

    def examples(self, request: Request) -> Response:
        """Examples that can be picked, one page of those that were found."""
        _, path = self._path(request)
        ready = self._searches.ready(path)
        text = request.query_params.get("find", "")[:200]
        return unless_seen(request, ready.found(text, number(request, "first", 0, 10**9)))

    def nearest(self, request: Request) -> Response:
        """An example and what lies nearest to it, of a run of pairs also of the other kind."""
        _, path = self._path(request)
        ready = self._searches.ready(path)
        row = number(request, "row", 0, 10**9)
        if row >= len(ready.queries):
            raise SettingError(f"there is no example {row}: they end at {len(ready.queries) - 1}")
        return unless_seen(request, ready.nearest(row, request.query_params.get("among")))

    def typed(self, request: Request) -> Response:
        """What lies nearest to words that a visitor typed."""
        _, path = self._path(request)
        ready = self._searches.ready(path)
        if ready.typed is None:
            raise SettingError("no encoder of this run takes texts: choose an example instead")
        asked = request.query_params
        among = asked.get("among") or next(iter(ready.typed.shelves))
        return unless_seen(request, ready.typed.nearest(asked.get("text", ""), among))

    async def static(self, request: Request) -> Response:
        """Styles and scripts, which are ours and stay the same while the server runs."""
        name = request.path_params["name"]
        if name not in self._static:
            raise HTTPException(404)
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        headers = {"Cache-Control": "private, max-age=86400"}
        return Response(self._static[name], media_type=kind, headers=headers)

    def _row(self, run: str, row: FoundRun) -> dict[str, Any]:
        told = {
            "id": run,
            "cells": [printable(each) for each in cells(row)],
            "state": row.state,
        }
        if row.state == "running":
            try:
                told["progress"] = progress(row, self._below.path(run)).as_json()
            except NearfarError as error:
                told["progress"] = {"share": None, "text": printable(str(error))}
        return told

    def _paths(self, request: Request) -> dict[str, Path]:
        """The folders of the runs that a request names, each once."""
        asked = list(dict.fromkeys(request.query_params.getlist("id")))
        if not asked:
            raise NoSuchRunError("no run was named: choose one from the list")
        if len(asked) > _MOST_RUNS:
            raise SettingError(f"{len(asked)} runs: at most {_MOST_RUNS} are shown together")
        return {run: self._below.path(run) for run in asked}

    def _path(self, request: Request) -> tuple[str, Path]:
        run, path = next(iter(self._paths(request).items()))
        return run, path


def web_app(folder: Path, token: str) -> Gate:
    """The site behind its gate.

    Args:
        folder: Whose runs are shown.
        token: What every path begins with.

    Raises:
        NearfarError: There is no such folder.
    """
    handlers: dict[Any, Any] = {
        NearfarError: refusal,
        OSError: refusal,
        HTTPException: _missing,
        Exception: failure,
    }
    return Gate(Starlette(routes=Site(folder).routes(), exception_handlers=handlers), token)


def _missing(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return html("error.html", status, said="there is no such page")


def _conditions(text: str) -> list[Condition]:
    """What a person typed into the field of the list: conditions, and words of a run's name.

    Raises:
        SettingError: A condition is none.
    """
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that has no end yet
        words = text.split()
    return [
        Condition.read(word)
        if any(sign in word for sign in "=<>~")
        else Condition("name", "~", word)
        for word in words
    ]


def _static_files() -> dict[str, bytes]:
    """Everything that the pages load, by name."""
    ours = files("nearfar.web").joinpath("static")
    held = {
        "plotly.js": get_plotlyjs(),
        "paint.js": template_text("paint.js"),
        "charts.js": chart_script(),
        "page.css": template_text("page.css"),
        "web.css": ours.joinpath("web.css").read_text(encoding="utf-8"),
        **{name: ours.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS},
    }
    return {name: text.encode() for name, text in held.items()}
