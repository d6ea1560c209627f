"""`nearfar recipes [NAME]`: the recipes that `nearfar train` knows, at a glance or one in full."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.cli.setting_tables import as_typed, options
from nearfar.evaluation.evaluation_spec import measure_of
from nearfar.recipes.names import DEFAULT_RECIPE, RECIPES

if TYPE_CHECKING:
    from nearfar.recipes.known import Figures, KnownRecipe


@dataclass(frozen=True)
class RecipesArguments(ListingArguments):
    """List the recipes that `nearfar train` knows, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar recipes` with the words after it."""
    run_listing(RecipesArguments, Recipes(), words)


class Recipes(Listing):
    """The recipes, by what they learn from."""

    command, noun = "recipes", "recipe"
    foot = (
        ", [bold]nearfar train NAME[/bold] runs it; * is taken without a name.\n[dim]time: of a "
        "training, or what it is meant for; (in brackets): published, not reproduced here.[/dim]"
    )

    def names(self) -> list[str]:
        """Every recipe."""
        return list(RECIPES)

    def tables(self) -> list[Grid]:
        """A table for each family."""
        titles = dict.fromkeys(known.family.title for known in RECIPES.values())
        return [
            _family(title, [each for each in RECIPES.values() if each.family.title == title])
            for title in titles
        ]

    def story(self, name: str) -> Story:
        """What it is, how it is run, what to expect of it."""
        known = RECIPES[name]
        training = known.training
        time = training and f"{training.short} on {training.on}"
        changed = [(option, as_typed(value)) for option, value in _options(known).items()]
        return Story(
            title=name,
            summary=known.summary,
            paragraphs=known.story,
            command=known.command,
            facts={
                "data": known.family.data,
                "set-up": known.family.setup,
                "meant for": known.family.hardware,
                "training": f"{time}{'; ' if training.note else ''}{training.note}"
                if training
                else "",
            },
            grids=[
                Grid((), changed, title="Settings that are not the defaults"),
                *_expected(known.figures),
            ],
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        from nearfar.recipes.config_json import recipe_to_json

        known = RECIPES[name]
        return {
            "name": name,
            "summary": known.summary,
            "story": known.story,
            "family": known.family.title,
            "method": _method(known),
            "data": known().data.name,
            "command": known.command,
            "data_from": known.family.data,
            "setup": known.family.setup,
            "hardware": known.family.hardware,
            "training": asdict(known.training) if known.training else None,
            "expected": asdict(known.figures),
            "settings": recipe_to_json(known()),
        }


def _family(title: str, family: "Sequence[KnownRecipe]") -> Grid:
    """A line for each recipe of a family; the source where they learn from several."""
    sources = {known().data.name for known in family}
    rows = [
        (
            known.name + ("*" if known.name == DEFAULT_RECIPE else ""),
            _method(known),
            known().data.name if len(sources) > 1 else "",
            known.training.short if known.training else known.family.hardware,
            _headline(known.figures),
        )
        for known in family
    ]
    several = "" if len(sources) > 1 else f" (--data.name {sources.pop()})"
    return Grid(("recipe", "method", "data", "time", "top-1 expected"), rows, title + several)


def _headline(figures: "Figures") -> str:
    """The first figure; in brackets where the source has published it."""
    if not figures.rows:
        return "depends on the data"
    first = figures.rows[0]
    told = f"{first.value} {measure_of(first.protocol).short}"
    return told if figures.seeds else f"({told})"


def _method(known: "KnownRecipe") -> str:
    """The method's title; of SimCLR over another objective than its own, the objective."""
    from nearfar.methods.unlabelled_specs import SimCLRSpec

    method = known().method
    if isinstance(method, SimCLRSpec) and method.objective.name != SimCLRSpec().objective.name:
        return method.objective.name
    return method.title


def _options(known: "KnownRecipe") -> dict[str, Any]:
    found = options(known())
    return {option: value for option, value in found.items() if option != "--recipe"}


def _expected(figures: "Figures") -> list[Grid]:
    if not figures.rows:
        return []

    def told(value: float | None) -> str:
        return "" if value is None else f"{value}"

    rows = [
        (row.title, row.value, told(row.untrained), told(row.raw), row.of) for row in figures.rows
    ]
    head = ("protocol", "encoder", "untrained", "raw data", "of")
    return [Grid(head, rows, title="Top-1 to expect, in %", below=figures.origin)]
