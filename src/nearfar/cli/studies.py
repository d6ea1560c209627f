"""`nearfar studies [NAME]`: the studies that `nearfar sweep` knows, at a glance or one in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.cli.setting_tables import as_typed
from nearfar.spec import settings_of, to_json
from nearfar.sweeps.axes import AxisSpec, RangeSpec, ValuesSpec
from nearfar.sweeps.known_studies import studies
from nearfar.sweeps.study import Study, shown_value


@dataclass(frozen=True)
class StudiesArguments(ListingArguments):
    """List the studies that `nearfar sweep` knows, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar studies` with the words after it."""
    run_listing(StudiesArguments, Studies(), words)


class Studies(Listing):
    """The studies, those of plug-ins among them."""

    command, noun = "studies", "study"
    foot = ", [bold]nearfar sweep NAME[/bold] runs it"

    def names(self) -> list[str]:
        """Every study."""
        return list(studies())

    def tables(self) -> list[Grid]:
        """A line for each."""
        rows = [
            (name, made.recipe.recipe, made.engine.name, _trials(made), known.paragraphs[0])
            for name, known in studies().items()
            for made in (known(),)
        ]
        return [Grid(("study", "recipe", "engine", "trials", "asks"), rows)]

    def story(self, name: str) -> Story:
        """What it asks, of which recipe, and over what."""
        known = studies()[name]
        made, (summary, *more) = known(), known.paragraphs
        settings = (f"{key} {as_typed(value)}" for key, value in settings_of(made.engine).items())
        return Story(
            title=name,
            summary=summary,
            paragraphs=more,
            command=f"nearfar sweep {name}",
            facts={
                "recipe": made.recipe.recipe,
                "engine": ", ".join((made.engine.name, *settings)),
                "trials": _trials(made),
                "maximises": f"{made.maximise} on held-out training images",
            },
            grids=[Grid(("axis", "values"), [(a.setting, _values(a)) for a in made.axes])],
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        known = studies()[name]
        summary, *more = known.paragraphs
        return {"name": name, "summary": summary, "story": more, "study": to_json(known())}


def _trials(study: Study) -> str:
    most = "until the time is over" if study.planned is None else str(study.planned)
    return f"{most} × {len(study.seeds)} seeds" if len(study.seeds) > 1 else most


def _values(axis: AxisSpec) -> str:
    if isinstance(axis, RangeSpec):
        return f"{axis.low:g} to {axis.high:g}{', logarithmic' if axis.log else ''}"
    assert isinstance(axis, ValuesSpec)
    return ", ".join(map(shown_value, axis.values))
